/** meshrun by itself: its flags, its FIFO, its record, and the kernels that have less. */
import { spawn, type ChildProcess } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
  closeSync,
  existsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findMeshrun } from '#agent/process/meshrun-binary.ts';
import { readRecord } from '#agent/process/step-record.ts';
import { PATH } from '#test/support/process-step.ts';
import { processesMarked } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const TREE = resolve('test/fixtures/process-tree.pl');

describe('meshrun', () => {
  let root: string;
  let count = 0;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'bm-meshrun-'));
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  const stepDir = (): string => {
    const dir = join(root, String((count += 1)));
    mkdirSync(dir);
    writeFileSync(join(dir, 'record.c'), '');
    return dir;
  };
  function run(
    dir: string,
    flags: string[],
    argv: string[],
  ): { child: ChildProcess; code: Promise<number | null> } {
    const binary = findMeshrun();
    if (binary.kind !== 'usable') throw new Error(binary.reason);
    const args = [`--step=${dir}`, '--cookie=c', ...flags, '--', ...argv];
    const child = spawn(binary.path, args, { stdio: 'ignore', env: { PATH }, detached: true });
    return { child, code: new Promise((done) => child.once('exit', done)) };
  }
  const command = (dir: string, line: string): void => {
    const fd = openSync(join(dir, 'ctl'), 'w');
    writeSync(fd, line);
    closeSync(fd);
  };

  it('writes a record, leaves its FIFOs to the next and ends with 0', async () => {
    const dir = stepDir();
    expect(await run(dir, [], ['sh', '-c', 'exit 6']).code).toBe(0);
    expect(readRecord(dir)).toMatchObject({
      started: { cookie: 'c' },
      exited: { code: 6 },
      gone: { empty: true, reaped: 1, logBytes: 0 },
    });
    expect(readdirSync(dir).sort()).toEqual(['ctl', 'exit', 'record']);
  });

  it('runs nothing without the token', async () => {
    const dir = stepDir();
    rmSync(join(dir, 'record.c'));
    expect(await run(dir, [], ['touch', join(dir, 'ran')]).code).toBe(70);
    expect(readdirSync(dir)).not.toContain('ran');
    expect(readRecord(dir)).toBeNull();
  });

  it.each([['--nope'], ['--grace-ms=x'], ['--stop-signal=65'], ['--cookie=a/b']])(
    'refuses %s',
    async (flag) => {
      expect(await run(stepDir(), [flag], ['true']).code).toBe(64);
    },
  );

  it.each([[''], ['--no-children-file']])(
    'kills a tree that tries to escape, found by %s',
    async (flag) => {
      const dir = stepDir();
      const mark = `bm-direct-${process.pid}-${flag}`;
      const ready = join(dir, 'ready');
      const kinds = [
        'plain=10',
        'setsid=10',
        'daemon=10',
        'envless=5',
        'stubborn=5',
        'stopped=5',
        'chain=10',
      ];
      const { code } = run(
        dir,
        ['--grace-ms=100', ...(flag === '' ? [] : [flag])],
        ['perl', TREE, mark, ready, ...kinds],
      );
      await until(() => existsSync(ready), 'the tree to stand');
      command(dir, 'stop\n');
      expect(await code).toBe(0);
      expect(processesMarked(mark)).toEqual([]);
      expect(readRecord(dir)).toMatchObject({
        stopping: { stopRequested: true },
        gone: { empty: true, signal: 9 },
      });
    },
  );

  it('heeds commands that come in pieces, ignores what is none, and puts no trust in a long line', async () => {
    const dir = stepDir();
    const { code } = run(
      dir,
      ['--grace-ms=3600000'],
      ['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done'],
    );
    await until(() => readRecord(dir)?.started, 'the start');
    command(dir, `nonsense\nstop -1\n${'x'.repeat(1000)}\nst`);
    command(dir, 'op 0\n');
    expect(await code).toBe(0);
    expect(readRecord(dir)).toMatchObject({ exited: { signal: 9, stopRequested: true } });
  });

  it('uses no processor time while it waits', async () => {
    const dir = stepDir();
    const { child, code } = run(dir, ['--budget-ms=3600000'], ['sleep', '60']);
    await until(() => readRecord(dir)?.started, 'the start');
    const switches = (): number => {
      const status = readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8');
      return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]);
    };
    // Asleep twice in a row with the same count: between the two it was not woken.
    await until(
      () => readFileSync(`/proc/${child.pid ?? 0}/stat`, 'latin1').includes(') S'),
      'it to sleep',
    );
    const before = switches();
    await new Promise((resolve) => setTimeout(resolve, 300)); // the time in which it must not wake
    expect(switches() - before).toBeLessThanOrEqual(1);
    command(dir, 'kill\n');
    expect(await code).toBe(0);
  });
});
