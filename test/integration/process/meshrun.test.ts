/** meshrun by itself: its flags, its FIFO, its record, and the kernels that have less. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
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
import { findMeshrun } from '#agent/process/meshrun-client/meshrun-binary.ts';
import { readRecord } from '#agent/process/record/step-record.ts';
import { CGROUP_MOUNT, CgroupSubtree, NO_CGROUPS } from '#test/support/cgroups.ts';
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

  describe.skipIf(NO_CGROUPS !== null)('in a cgroup', () => {
    let subtree: CgroupSubtree;
    beforeAll(() => {
      subtree = new CgroupSubtree();
    });
    afterAll(async () => {
      await subtree.dispose();
    });

    it.each([[''], ['--no-cgroup-kill']])('kills a tree that tries to escape, %s', async (flag) => {
      const dir = stepDir();
      const mark = `bm-direct-${process.pid}-cgroup-${flag}`;
      const ready = join(dir, 'ready');
      const kinds = ['plain=10', 'envless=5', 'stubborn=5', 'stopped=5', 'chain=200', 'bomb=5'];
      const flags = ['--grace-ms=100', `--cgroup=${subtree.dir}`, ...(flag === '' ? [] : [flag])];
      const { code } = run(dir, flags, ['perl', TREE, mark, ready, ...kinds]);
      await until(() => existsSync(ready), 'the tree to stand');
      expect(subtree.names()).toHaveLength(1);
      command(dir, 'stop\n');
      expect(await code).toBe(0);
      expect(processesMarked(mark)).toEqual([]);
      expect(readRecord(dir)).toMatchObject({
        started: { cgroup: expect.stringContaining(subtree.dir) as string },
        gone: { empty: true, proof: 'cgroup', signal: 9 },
      });
      expect(subtree.names()).toEqual([]);
    });

    it('lets those below the cgroup that it freezes die', async () => {
      const dir = stepDir();
      const mark = `bm-direct-${process.pid}-below`;
      const script = `
        own=$(sed -n 's/^0:://p' /proc/self/cgroup); own=${CGROUP_MOUNT ?? ''}$own; mkdir "$own/a"
        (echo 0 >"$own/a/cgroup.procs"; trap '' TERM; exec perl -e 'sleep 60' ${mark}) &
        trap '' TERM; while :; do sleep 0.1; done`;
      const flags = ['--grace-ms=0', `--cgroup=${subtree.dir}`, '--no-cgroup-kill'];
      const { code } = run(dir, flags, ['sh', '-c', script]);
      await until(() => processesMarked(mark).length === 1, 'it to stand');
      command(dir, 'kill\n');
      expect(await code).toBe(0);
      expect(processesMarked(mark)).toEqual([]);
      expect(subtree.names()).toEqual([]);
    });

    it.each([
      ['a limit the cgroup does not have', '--limit=nope.max=1'],
      ['a limit that is none', '--limit=cgroup.max.depth=x'],
      ['a limit beside the cgroup', '--limit=../cgroup.max.depth=1'],
    ])('runs nothing with %s', async (_, limit) => {
      const dir = stepDir();
      const flags = [`--cgroup=${subtree.dir}`, limit];
      expect(await run(dir, flags, ['touch', join(dir, 'ran')]).code).toBe(70);
      expect(readdirSync(dir)).not.toContain('ran');
      expect(subtree.names()).toEqual([]);
    });

    it('sets a limit before the program runs', async () => {
      const dir = stepDir();
      const show = `cat ${CGROUP_MOUNT ?? ''}$(sed -n 's/^0:://p' /proc/self/cgroup)/cgroup.max.depth`;
      const flags = [`--cgroup=${subtree.dir}`, '--limit=cgroup.max.depth=7'];
      expect(await run(dir, flags, ['sh', '-c', `[ "$(${show})" = 7 ]`]).code).toBe(0);
      expect(readRecord(dir)).toMatchObject({ exited: { code: 0 } });
    });

    it('needs the cgroup for a limit only', async () => {
      const without = [`--cgroup=${join(subtree.dir, 'none')}`];
      const dir = stepDir();
      expect(await run(dir, without, ['true']).code).toBe(0);
      expect(readRecord(dir)?.started?.cgroup).toBeUndefined();
      expect(await run(stepDir(), [...without, '--limit=pids.max=1'], ['true']).code).toBe(70);
    });

    it.runIf(process.arch === 'x64')('reads what systemd marks as delegated', () => {
      const binary = findMeshrun();
      if (binary.kind !== 'usable') throw new Error(binary.reason);
      const delegated = (): number | null =>
        spawnSync(binary.path, [`--cgroup-delegated=${subtree.dir}`]).status;
      expect(delegated()).toBe(1);
      // setxattr(2), which no program of a small system sets.
      const set =
        'my ($n, $v) = ("user.delegate", "1"); exit(syscall(188, $ARGV[0], $n, $v, 1, 0) == 0 ? 0 : 1)';
      expect(spawnSync('perl', ['-e', set, subtree.dir]).status).toBe(0);
      expect(delegated()).toBe(0);
    });
  });

  it('binds the user of the step to a number of processes', async () => {
    const dir = stepDir();
    const show = '[ "$(ulimit -u)" = 4321 ]';
    expect(await run(dir, ['--most-processes=4321'], ['bash', '-c', show]).code).toBe(0);
    expect(readRecord(dir)).toMatchObject({ exited: { code: 0 } });
  });

  it('binds each process of the step, and says what it cannot set', async () => {
    const dir = stepDir();
    const flags = [
      '--rlimit=openFiles=77',
      '--rlimit=coreSize=0',
      '--rlimit=fileSize=4096',
      '--rlimit=stackSize=1048576',
    ];
    const show = '[ "$(ulimit -n) $(ulimit -c) $(ulimit -f) $(ulimit -s)" = "77 0 4 1024" ]';
    expect(await run(dir, flags, ['bash', '-c', show]).code).toBe(0);
    expect(readRecord(dir)).toMatchObject({ exited: { code: 0 } });
    for (const wrong of ['nothing=1', 'openFiles=x', 'openFiles=9999999999']) {
      const other = stepDir();
      await run(other, [`--rlimit=${wrong}`], ['true']).code;
      expect(readRecord(other)).toMatchObject({
        exec_failed: { stage: 'setup', reason: 'rlimit', path: wrong },
      });
    }
  });

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
