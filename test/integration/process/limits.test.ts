/** What needs root to set up: a full disk, and a process that may not be killed. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findMeshrun } from '#agent/process/meshrun-client/meshrun-binary.ts';
import { createSupervisor } from '#agent/process/supervisor.ts';
import type { StepOutcome } from '#agent/process/types.ts';
import { outputOf, PATH, StepBench } from '#test/support/process-step.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const shell = (line: string): boolean => spawnSync('/bin/sh', ['-c', line]).status === 0;

describe.skipIf(!isRoot)('with root (skipped without)', () => {
  let bench: StepBench;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
  });
  afterAll(() => {
    bench.dispose();
  });

  it('counts what a full disk refuses, and still records the end', async (context) => {
    const dir = bench.dir();
    const mounted = shell(`mount -t tmpfs -o size=1m tmpfs ${dir}`);
    if (!mounted) context.skip('no tmpfs can be mounted here');
    try {
      const script = 'print STDOUT "x" x 3_000_000; print STDERR "y" x 100; exit 4';
      const { end, logBytes, droppedBytes } = await bench.start(['perl', '-e', script], {}, dir)
        .ended;
      expect({ end, logBytes }).toEqual({ end: { kind: 'exited', code: 4 }, logBytes: 3_000_100 });
      const { chunks, gaps, end: readEnd } = outputOf(dir, logBytes);
      const kept = chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
      expect(kept).toBeGreaterThan(500_000);
      expect(kept + droppedBytes).toBe(logBytes);
      expect(readEnd).toBe(logBytes);
      expect(gaps.every(({ reason }) => reason === 'write-failed')).toBe(true);
      expect(gaps.reduce((sum, { length }) => sum + length, 0)).toBe(droppedBytes);
      expect(gaps.length).toBeLessThan(5);
    } finally {
      shell(`umount -l ${dir}`);
    }
  });

  it('does not start a step whose record has no space', async (context) => {
    const dir = bench.dir();
    const mounted = shell(`mount -t tmpfs -o size=16k tmpfs ${dir}`);
    if (!mounted) context.skip('no tmpfs can be mounted here');
    try {
      shell(`cat /dev/zero > ${dir}/fill`);
      const { end } = await bench.start(['touch', join(bench.root, 'ran')], {}, dir).ended;
      expect(end).toMatchObject({ kind: 'exec_failed', errno: 'ENOSPC', reason: 'supervision' });
      expect(() => readFileSync(join(bench.root, 'ran'))).toThrow();
    } finally {
      shell(`umount -l ${dir}`);
    }
  });

  it('names survivors it may not kill, and tells when they are gone after all', async () => {
    const binary = findMeshrun();
    if (binary.kind !== 'usable') throw new Error(binary.reason);
    const dir = bench.dir();
    chmodSync(bench.root, 0o755);
    mkdirSync(join(bench.root, 'bin'));
    const [helper, riser] = [join(bench.root, 'bin/meshrun'), join(bench.root, 'bin/riser')];
    copyFileSync(binary.path, helper);
    copyFileSync('/usr/bin/setpriv', riser);
    chmodSync(riser, 0o4755); // what becomes root's an unprivileged meshrun may not signal
    writeFileSync(join(dir, 'record.c'), '');
    for (const path of [dir, join(dir, 'record.c')]) chownSync(path, NOBODY, NOBODY);
    const flags = [`--step=${dir}`, '--cookie=c', '--cwd=/', '--grace-ms=50', '--patience-ms=200'];
    const meshrun = spawn(helper, [...flags, '--', riser, '--reuid=0', 'sleep', '60'], {
      uid: NOBODY,
      gid: NOBODY,
      stdio: 'ignore',
      env: { PATH },
      detached: true,
    });
    const child = await until(() => {
      const [line = ''] = readFileSync(join(dir, 'record'), 'utf8').split('\n');
      const { pid } = JSON.parse(line) as { pid: number };
      return readFileSync(`/proc/${pid}/status`, 'utf8').includes('Uid:\t0\t0\t0') ? pid : null;
    }, 'a child of root');
    const gone: StepOutcome[] = [];
    const outcome = await new Promise<StepOutcome>((resolve, reject) => {
      const events = { onEnd: resolve, onGone: (late: StepOutcome) => gone.push(late) };
      void bench.supervisor.adopt(dir, events).then((adoption) => {
        if (adoption.kind === 'alive') adoption.handle.stop();
        else reject(new Error(adoption.kind));
      });
    });
    expect(outcome.gone.survivors).toEqual([child]);
    expect(isRunning(child)).toBe(true);
    expect(outcome).toMatchObject({
      end: { kind: 'lost' },
      stopRequested: true,
      gone: { empty: false },
    });
    process.kill(child, 'SIGKILL');
    await until(() => gone.length > 0, 'the late end');
    expect(gone).toMatchObject([
      { end: { kind: 'signaled', signal: 'SIGKILL' }, gone: { empty: true, survivors: [] } },
    ]);
    expect(meshrun.pid).toBeGreaterThan(0);
  });
});

describe.skipIf(isRoot)('without root', () => {
  it('says what is skipped', (context) => {
    context.skip('full disk and unkillable processes need root to set up');
  });
});
