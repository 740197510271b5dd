import { describe, expect, it } from 'vitest';
import { matchRun, matchTask, parseTarget } from '#cli/runs/match.ts';

const RUNS = ['2026-02-13_14-30-45-k3f9', '2026-02-13_14-30-46-abcd', '2026-02-14_09-00-00-k3f8'];

describe('RUN', () => {
  it.each([
    ['2026-02-13_14-30-45-k3f9', '2026-02-13_14-30-45-k3f9'],
    ['latest', '2026-02-14_09-00-00-k3f8'],
    ['k3f9', '2026-02-13_14-30-45-k3f9'],
    ['2026-02-14', '2026-02-14_09-00-00-k3f8'],
  ])('%s is %s', (text, run) => {
    expect(matchRun(text, RUNS)).toBe(run);
  });

  it.each([
    ['2026-02-13', 'usage', /2 runs/],
    ['zzzz', 'not_found', /"zzzz"/],
    ['', 'not_found', /""/],
  ])('%j is refused', (text, code, message) => {
    expect(() => matchRun(text, RUNS)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }),
    );
  });

  it('latest of nothing is not found', () => {
    expect(() => matchRun('latest', [])).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});

describe('TASK', () => {
  it('is an id or a unique beginning', () => {
    expect(matchTask('ab', ['abc', 'bcd'])).toBe('abc');
    expect(matchTask('ab', ['abc', 'ab'])).toBe('ab');
    expect(() => matchTask('bc', ['abc'])).toThrow(expect.objectContaining({ code: 'not_found' }));
    expect(() => matchTask('a', ['abc', 'abd'])).toThrow(
      expect.objectContaining({ code: 'usage' }),
    );
  });
});

describe('RUN/TASK/N', () => {
  it.each([
    ['r', { run: 'r', task: null, n: null }],
    ['r/t', { run: 'r', task: 't', n: null }],
    ['r/t/3', { run: 'r', task: 't', n: 3 }],
  ])('%s', (text, target) => {
    expect(parseTarget(text)).toEqual(target);
  });

  it.each(['', '/t', 'r/', 'r/t/0', 'r/t/x', 'r/t/1/2', 'r/t/-1'])('%j is refused', (text) => {
    expect(() => parseTarget(text)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
