/** Which files make a checkpoint: complete ones, all of them, and not too much. */
import { describe, expect, it } from 'vitest';
import {
  decideLook,
  markOf,
  writerAfter,
  type Look,
  type SeenFile,
} from '#agent/files/checkpoint-policy.ts';
import { pathWithin } from '#agent/files/work-path.ts';

const rules = { everyMs: 1000, keep: 2, maxBytes: 100 };

/** Written in place, unless it was moved. */
function file(path: string, change: Partial<SeenFile> = {}): SeenFile {
  return { path, inode: 1n, bytes: 10, modifiedNs: 5n, changedNs: 5n, ...change };
}
const moved = (path: string, change: Partial<SeenFile> = {}): SeenFile =>
  file(path, { changedNs: 9n, ...change });

function look(files: readonly SeenFile[], change: Partial<Look> = {}): Look {
  return { files, before: new Map(), taken: new Map(), writer: 'running', rules, ...change };
}
const marks = (...files: readonly SeenFile[]): Map<string, string> =>
  new Map(files.map((each) => [each.path, markOf(each)]));

describe('a look', () => {
  it('takes nothing where there is nothing', () => {
    expect(decideLook(look([]))).toEqual({ kind: 'wait' });
  });

  it('waits for a second look at what is written in place', () => {
    expect(decideLook(look([file('a')]))).toEqual({ kind: 'wait' });
    expect(decideLook(look([file('a')], { before: marks(file('a')) })).kind).toBe('take');
    const grown = file('a', { bytes: 11 });
    expect(decideLook(look([grown], { before: marks(file('a')) }))).toEqual({ kind: 'wait' });
  });

  it('takes what was moved into its place at once', () => {
    expect(decideLook(look([moved('a')])).kind).toBe('take');
  });

  it('takes all or none', () => {
    expect(decideLook(look([moved('a'), file('b')]))).toEqual({ kind: 'wait' });
  });

  it('takes nothing twice, and a set that lost a file again', () => {
    const [a, b] = [moved('a'), moved('b')];
    expect(decideLook(look([a, b], { taken: marks(a, b) }))).toEqual({ kind: 'wait' });
    expect(decideLook(look([a], { taken: marks(a, b) })).kind).toBe('take');
  });

  it('trusts what a program left that ended by itself, not what a killed one was writing', () => {
    expect(decideLook(look([file('a')], { writer: 'ended' })).kind).toBe('take');
    expect(decideLook(look([file('a')], { writer: 'killed' }))).toEqual({ kind: 'wait' });
    expect(decideLook(look([moved('a')], { writer: 'killed' })).kind).toBe('take');
  });

  it('refuses what is too large or too many', () => {
    expect(decideLook(look([moved('a', { bytes: 101 })]))).toEqual({
      kind: 'refuse',
      reason: 'a: 101 bytes, more than the 100 that a checkpoint may have',
    });
    const many = Array.from({ length: 65 }, (_, i) => moved(`f${i}`, { bytes: 1 }));
    expect(decideLook(look(many))).toMatchObject({ kind: 'refuse' });
  });

  it('puts the newest last', () => {
    const decision = decideLook(look([moved('new', { modifiedNs: 8n }), moved('old')]));
    expect(decision.kind === 'take' && decision.files.map(({ path }) => path)).toEqual([
      'old',
      'new',
    ]);
  });
});

describe('the writer', () => {
  it.each([
    ['exited', 0, 'ended'],
    ['exited', 1, 'ended'],
    ['exited', 137, 'killed'],
    ['signaled', null, 'killed'],
    ['lost', null, 'killed'],
  ] as const)('%s %s is %s', (end, code, writer) => {
    expect(writerAfter([{ end, code }])).toBe(writer);
  });
});

describe('a path that others name', () => {
  it.each(['a', 'a/b', './a', 'a/../b'])('%s lies in the folder', (path) => {
    expect(pathWithin('/w', path)).toMatch(/^\/w\/[ab]/);
  });
  it.each(['', '.', '..', '../a', 'a/../../b', '/etc/passwd', 'a/', 'a\0b'])(
    '%j does not',
    (path) => {
      expect(pathWithin('/w', path)).toBeNull();
    },
  );
});
