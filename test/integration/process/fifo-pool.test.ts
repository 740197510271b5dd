/** FIFOs go from ended steps to the next ones, and nothing of an earlier step comes with them. */
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FifoPool } from '#agent/process/fifo-pool.ts';
import { createSupervisor } from '#agent/process/supervisor.ts';
import { spawnSync } from 'node:child_process';
import { StepBench } from '#test/support/process-step.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'benchmesh-fifos-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function folder(name: string, fifos: boolean): string {
  const dir = join(root, name);
  spawnSync('mkdir', [dir]);
  if (fifos) spawnSync('mkfifo', [join(dir, 'ctl'), join(dir, 'exit')]);
  return dir;
}

describe('spare FIFOs', () => {
  it('move as they are; without spares nothing is laid', () => {
    const pool = new FifoPool();
    const [old, first, second] = [folder('a', true), folder('b', false), folder('c', false)];
    const inode = statSync(join(old, 'ctl')).ino;
    pool.give(old);
    pool.take(first);
    pool.take(second);
    expect(readdirSync(first).sort()).toEqual(['ctl', 'exit']);
    expect(statSync(join(first, 'ctl')).ino).toBe(inode);
    expect([...readdirSync(old), ...readdirSync(second)]).toEqual([]);
  });

  it('are not taken while a meshrun may hold them, and are once it is gone', () => {
    const pool = new FifoPool();
    const [old, next] = [folder('a', true), folder('b', false)];
    const held = openSync(join(old, 'exit'), constants.O_RDWR | constants.O_NONBLOCK);
    pool.give(old);
    pool.take(next);
    expect(readdirSync(next)).toEqual([]);
    writeSync(held, 'o');
    closeSync(held);
    pool.take(next);
    expect(readdirSync(next).sort()).toEqual(['ctl', 'exit']);
  });

  it.each(['ctl', 'exit'])(
    'are not taken while the end of a meshrun has not let go of %s',
    (name) => {
      const pool = new FifoPool();
      const [old, next] = [folder('a', true), folder('b', false)];
      const held = openSync(join(old, name), constants.O_RDWR | constants.O_NONBLOCK);
      writeSync(held, 'kill\n');
      pool.give(old);
      pool.take(next);
      expect(readdirSync(next)).toEqual([]);
      closeSync(held);
      pool.take(next);
      expect(readdirSync(next).sort()).toEqual(['ctl', 'exit']);
    },
  );

  it('are not taken while somebody else reads the commands', () => {
    const pool = new FifoPool();
    const [old, next] = [folder('a', true), folder('b', false)];
    const reader = openSync(join(old, 'ctl'), constants.O_RDONLY | constants.O_NONBLOCK);
    pool.give(old);
    pool.take(next);
    expect(readdirSync(next)).toEqual([]);
    closeSync(reader);
    pool.take(next);
    expect(readdirSync(next).sort()).toEqual(['ctl', 'exit']);
  });

  it.each(['ctl', 'exit'])('are none where the step has put something else for %s', (name) => {
    const pool = new FifoPool();
    const [old, next] = [folder('a', true), folder('b', false)];
    rmSync(join(old, name));
    writeFileSync(join(old, name), '');
    pool.give(old);
    pool.take(next);
    expect(readdirSync(next)).toEqual([]);
  });

  it('that went with their folder are done without', () => {
    const pool = new FifoPool();
    const [old, next] = [folder('a', true), folder('b', false)];
    pool.give(old);
    rmSync(old, { recursive: true });
    pool.take(next);
    expect(readdirSync(next)).toEqual([]);
  });
});

describe('steps one after the other', () => {
  it('share FIFOs, and a stop that came too late for one does not reach the next', async () => {
    const bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
    const inodes = new Set<number>();
    for (let count = 0; count < 30; count += 1) {
      const step = bench.start(['sh', '-c', 'sleep 0.01; echo done']);
      const { end, stopRequested } = await step.ended;
      step.handle.stop({ now: true });
      expect({ end, stopRequested }).toEqual({
        end: { kind: 'exited', code: 0 },
        stopRequested: false,
      });
      const ctl = join(step.dir, 'ctl');
      if (existsSync(ctl)) inodes.add(statSync(ctl).ino);
    }
    expect(inodes.size).toBeLessThan(10);
    bench.dispose();
  });
});
