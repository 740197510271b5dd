/** What ended steps leave serves the next ones, and nothing of an earlier step comes with it. */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StepFolders } from '#agent/process/record/step-folders.ts';
import { readRecord } from '#agent/process/record/step-record.ts';
import { createSupervisor } from '#agent/process/supervisor.ts';
import { spawnSync } from 'node:child_process';
import { StepBench } from '#test/support/process-step.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'benchmesh-folders-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

/** The folder of a step that has ended, and what it left there. */
function ended(name: string, extra: readonly string[] = []): string {
  const dir = join(root, name);
  mkdirSync(dir);
  spawnSync('mkfifo', ['-m', '600', join(dir, 'ctl'), join(dir, 'exit')]);
  for (const file of ['record', ...extra]) writeFileSync(join(dir, file), 'of the step before');
  return dir;
}

function made(folders: StepFolders, name: string): readonly string[] {
  const dir = join(root, name);
  folders.make(dir);
  return readdirSync(dir).sort();
}

const TAKEN = ['ctl', 'exit', 'spent'];

describe('the folder of a step', () => {
  it('is a spare one under another name; without spares it is new', () => {
    const folders = new StepFolders();
    const old = ended('a');
    const inodes = ['', 'ctl', 'record'].map((name) => statSync(join(old, name)).ino);
    folders.give(old);
    expect(made(folders, 'b')).toEqual(TAKEN);
    expect(made(folders, 'c')).toEqual([]);
    const after = ['b', 'b/ctl', 'b/spent'].map((name) => statSync(join(root, name)).ino);
    expect(after).toEqual(inodes);
    expect(existsSync(old)).toBe(false);
  });

  it('gets a blank file of the record before, and a new one the second time', () => {
    const folders = new StepFolders();
    const inode = statSync(join(ended('a'), 'record')).ino;
    folders.give(join(root, 'a'));
    folders.make(join(root, 'b'));
    folders.layFile(join(root, 'b'), 'record.1');
    folders.layFile(join(root, 'b'), 'record.2');
    expect(statSync(join(root, 'b/record.1')).ino).toBe(inode);
    expect(readdirSync(join(root, 'b')).sort()).toEqual(['ctl', 'exit', 'record.1', 'record.2']);
    expect(readFileSync(join(root, 'b/record.1'), 'utf8').trim()).toBe('');
    expect(() => {
      folders.layFile(join(root, 'b'), 'record.2');
    }).toThrow('EEXIST');
  });

  it('never has the output of the step before, which stays where it was', () => {
    const folders = new StepFolders();
    const old = ended('a', ['000001.log', '000001.idx']);
    folders.give(old);
    expect(made(folders, 'b')).toEqual(TAKEN);
    expect(readdirSync(old).sort()).toEqual(['000001.idx', '000001.log']);
  });

  it('may be there already, with what is in it', () => {
    const folders = new StepFolders();
    folders.give(ended('a'));
    mkdirSync(join(root, 'b'));
    writeFileSync(join(root, 'b/kept'), 'kept');
    expect(made(folders, 'b')).toEqual(['ctl', 'exit', 'kept', 'spent']);
    expect(made(folders, 'b')).toEqual(['ctl', 'exit', 'kept', 'spent']);
  });

  it.each(['', 'o'])('is not taken from a meshrun that has not ended yet: "%s"', (unread) => {
    const folders = new StepFolders();
    const old = ended('a');
    const held = openSync(join(old, 'exit'), constants.O_RDWR | constants.O_NONBLOCK);
    if (unread !== '') writeSync(held, unread);
    folders.give(old);
    expect(made(folders, 'b')).toEqual([]);
    closeSync(held);
    expect(made(folders, 'c')).toEqual(TAKEN);
  });

  it.each(['ctl', 'exit'])('is not taken where the step has put something else for %s', (name) => {
    const folders = new StepFolders();
    const old = ended('a');
    rmSync(join(old, name));
    writeFileSync(join(old, name), '');
    folders.give(old);
    expect(made(folders, 'b')).toEqual([]);
  });

  it('is not waited for where the step has put a FIFO for its record', () => {
    const folders = new StepFolders();
    const old = ended('a');
    rmSync(join(old, 'record'));
    spawnSync('mkfifo', [join(old, 'record')]);
    folders.give(old);
    folders.make(join(root, 'b'));
    folders.layFile(join(root, 'b'), 'record.1');
    expect(lstatSync(join(root, 'b/record.1')).isFile()).toBe(true);
  });

  it('is not taken, now or later, where the step has changed whom a FIFO lets in', () => {
    const folders = new StepFolders();
    chmodSync(join(ended('a'), 'ctl'), 0o400);
    chmodSync(join(ended('b'), 'exit'), 0o200);
    for (const name of ['a', 'b', 'c']) folders.give(name === 'c' ? ended('c') : join(root, name));
    expect(made(folders, 'd')).toEqual(TAKEN);
    expect(made(folders, 'e')).toEqual([]);
  });

  it('is not emptied through a link that the step has put for its record', () => {
    const folders = new StepFolders();
    const old = ended('a');
    const precious = join(root, 'precious');
    writeFileSync(precious, 'kept');
    rmSync(join(old, 'record'));
    symlinkSync(precious, join(old, 'record'));
    folders.give(old);
    folders.make(join(root, 'b'));
    folders.layFile(join(root, 'b'), 'record.1');
    expect(readFileSync(precious, 'utf8')).toBe('kept');
    expect(lstatSync(join(root, 'b/record.1')).isFile()).toBe(true);
  });

  it('is the next spare one where one was removed, and new where all were', () => {
    const folders = new StepFolders();
    for (const name of ['a', 'b', 'c']) folders.give(ended(name));
    for (const name of ['a', 'c']) rmSync(join(root, name), { recursive: true });
    expect(made(folders, 'd')).toEqual(TAKEN);
    expect(made(folders, 'e')).toEqual([]);
  });
});

describe('a start that is refused', () => {
  it('takes nothing from its folder, and nothing is remembered of it', async () => {
    const supervisor = await createSupervisor({ rung: 'subreaper' });
    const bench = new StepBench(supervisor);
    const first = bench.start(['true']);
    await first.ended;
    supervisor.releaseFolder(first.dir);
    const dir = bench.dir();
    const refused = await bench.start(['true'], { stopSignal: 'SIGNOPE' }, dir).ended;
    expect(refused.end).toMatchObject({ errno: 'EINVAL' });
    expect(readdirSync(dir).sort()).toEqual(TAKEN);
    const { end } = await bench.start(['true'], {}, dir).ended;
    expect(end).toEqual({ kind: 'exited', code: 0 });
    expect(readdirSync(dir)).toContain('spent');
    bench.dispose();
  });
});

describe('steps one after the other', () => {
  it.each(['sleep 0.01', 'sleep 0.01; echo done'])(
    'share what lies in their folders, and a stop that came too late does not reach the next: %s',
    async (script) => {
      const supervisor = await createSupervisor({ rung: 'subreaper' });
      const bench = new StepBench(supervisor);
      const inodes = new Set<number>();
      for (let count = 0; count < 30; count += 1) {
        const step = bench.start(['sh', '-c', script]);
        const { end, stopRequested, logBytes } = await step.ended;
        step.handle.stop({ now: true });
        expect({ end, stopRequested, logBytes }).toEqual({
          end: { kind: 'exited', code: 0 },
          stopRequested: false,
          logBytes: script.includes('done') ? 5 : 0,
        });
        expect(readRecord(step.dir)?.started?.pid).toBe(step.handle.pid);
        inodes.add(statSync(join(step.dir, 'record')).ino);
        supervisor.releaseFolder(step.dir);
      }
      expect(inodes.size).toBeLessThan(10);
      bench.dispose();
    },
  );
});
