/** How a step ends, on both rungs: exit codes, signals, and what keeps a program from running. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSupervisor } from '#agent/process/supervisor.ts';
import type { Rung } from '#agent/process/types.ts';
import { outputOf, StepBench } from '#test/support/process-step.ts';

const RUNGS: readonly Rung[] = ['subreaper', 'scan'];

describe.each(RUNGS)('a step on the %s rung', (rung) => {
  let bench: StepBench;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung }));
  });
  afterAll(() => {
    bench.dispose();
  });
  const file = (name: string, content: string | Buffer, mode: number): string => {
    const path = join(bench.root, name);
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  };

  it.each([0, 1, 3, 126, 127, 137, 255])('reports exit code %i as such', async (code) => {
    const { end, deadline, stopRequested, durationMs } = await bench.run([
      'sh',
      '-c',
      `exit ${code}`,
    ]);
    expect(end).toEqual({ kind: 'exited', code });
    expect({ deadline, stopRequested }).toEqual({ deadline: false, stopRequested: false });
    expect(durationMs).toBeGreaterThan(0);
  });

  it.each(['SIGKILL', 'SIGSEGV', 'SIGTERM', 'SIGPIPE', 'SIGUSR1'])(
    'reports death by %s',
    async (signal) => {
      const { end } = await bench.run(['sh', '-c', `kill -${signal.slice(3)} $$`]);
      expect(end).toMatchObject({ kind: 'signaled', signal });
    },
  );

  it('says what a rung proves about an end without a stop', async () => {
    const { gone } = await bench.run(['true']);
    expect(gone).toMatchObject({
      proof: rung,
      empty: rung === 'subreaper',
      survivors: [],
      waves: 0,
      signal: null,
      goneMs: null,
    });
  });

  it('gives the child exactly its argv, environment and folder', async () => {
    const cwd = join(bench.root, 'ä folder');
    mkdirSync(cwd, { recursive: true });
    const argv = [
      'perl',
      '-e',
      'use Cwd; print join("|", @ARGV, $ENV{A}, getcwd())',
      'a b',
      '',
      '$HOME',
      '"\n',
    ];
    const step = bench.start(argv, { cwd, env: { PATH: '/usr/bin:/bin', A: 'ü=1' } });
    const { logBytes } = await step.ended;
    expect(outputOf(step.dir, logBytes).stdout.toString()).toBe(`a b||$HOME|"\n|ü=1|${cwd}`);
  });

  it('names a program that is not there', async () => {
    const { end, gone } = await bench.run(['no-such-program']);
    expect(end).toMatchObject({ kind: 'exec_failed', errno: 'ENOENT', reason: 'not-found' });
    expect(gone).toMatchObject({ empty: true, survivors: [] });
  });

  const CORRUPT = Buffer.from('\x7fELF\x02\x01\x01', 'latin1');
  it.each([
    {
      what: 'not executable',
      content: 'hello',
      mode: 0o644,
      errno: 'EACCES',
      reason: 'not-executable',
    },
    {
      what: 'a text file without #!',
      content: 'echo hi\n',
      mode: 0o755,
      errno: 'ENOEXEC',
      reason: 'no-interpreter-line',
    },
    { what: 'a cut ELF', content: CORRUPT, mode: 0o755, errno: 'ENOEXEC', reason: 'corrupt' },
    { what: 'an empty file', content: '', mode: 0o755, errno: 'ENOEXEC', reason: 'empty' },
  ])('says that a program is $what', async ({ what, content, mode, errno, reason }) => {
    const path = file(what.replaceAll(' ', '-').replaceAll('#!', ''), content, mode);
    const { end } = await bench.run([path]);
    expect(end).toMatchObject({ kind: 'exec_failed', errno, reason });
    expect(end).toHaveProperty('message', expect.stringContaining(path));
  });

  it('says that the working directory is missing, or is none', async () => {
    const missing = await bench.run(['true'], { cwd: join(bench.root, 'nowhere') });
    expect(missing.end).toMatchObject({ kind: 'exec_failed', errno: 'ENOENT', reason: 'cwd' });
    const none = await bench.run(['true'], { cwd: file('a-file', '', 0o644) });
    expect(none.end).toMatchObject({ kind: 'exec_failed', errno: 'ENOTDIR', reason: 'cwd' });
  });

  it('skips what may not be executed on the PATH, and finds what may', async () => {
    for (const [folder, mode] of [
      ['first', 0o644],
      ['second', 0o755],
    ] as const) {
      mkdirSync(join(bench.root, folder), { recursive: true });
      file(`${folder}/prog`, '#!/bin/sh\nexit 9\n', mode);
    }
    const path = `${bench.root}/nowhere:${bench.root}/first:${bench.root}/second:/bin`;
    const { end } = await bench.run(['prog'], { env: { PATH: path } });
    expect(end).toEqual({ kind: 'exited', code: 9 });
    const denied = await bench.run(['prog'], { env: { PATH: `${bench.root}/first` } });
    expect(denied.end).toMatchObject({ errno: 'EACCES', reason: 'not-executable' });
  });

  it('refuses a folder that saw a start, an unknown signal and a folder that is not there', async () => {
    const step = bench.start(['true']);
    await step.ended;
    const again = await bench.start(['true'], {}, step.dir).ended;
    expect(again.end).toMatchObject({
      kind: 'exec_failed',
      errno: 'EEXIST',
      reason: 'supervision',
    });
    // What was started there before may run: nobody has looked.
    expect(again.gone).toMatchObject({ proof: 'scan', empty: false });
    const signal = await bench.run(['true'], { stopSignal: 'SIGNOPE' });
    expect(signal.end).toMatchObject({ errno: 'EINVAL', reason: 'supervision' });
    expect(signal.gone).toMatchObject({ empty: true });
    const nowhere = await bench.start(['true'], {}, join(bench.root, 'gone')).ended;
    expect(nowhere.end).toMatchObject({ errno: 'ENOENT', reason: 'supervision' });
  });

  it('ends once, with one start, for each of 40 steps two at a time', async () => {
    const all = Array.from({ length: 40 }, (_, code) => ({ code }));
    const calls: unknown[] = [];
    const worker = async (): Promise<void> => {
      for (let next = all.pop(); next !== undefined; next = all.pop()) {
        const step = bench.start(['sh', '-c', `exit ${next.code}`]);
        const { end } = await step.ended;
        expect(end).toEqual({ kind: 'exited', code: next.code });
        calls.push(step.calls);
      }
    };
    await Promise.all([worker(), worker()]);
    expect(calls).toEqual(Array.from({ length: 40 }, () => ({ started: 1, output: 0, end: 1 })));
  });
});

describe('a step on the subreaper rung only', () => {
  let bench: StepBench;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
  });
  afterAll(() => {
    bench.dispose();
  });

  it('tells a missing interpreter from a missing program', async () => {
    const path = join(bench.root, 'script');
    writeFileSync(path, '#!/no/such/interpreter\n', { mode: 0o755 });
    const { end } = await bench.run([path]);
    expect(end).toMatchObject({ errno: 'ENOENT', reason: 'interpreter-missing' });
  });

  it('refuses an ELF whose header is broken', async () => {
    const path = join(bench.root, 'broken');
    writeFileSync(path, Buffer.concat([Buffer.from('\x7fELF', 'latin1'), Buffer.alloc(200, 7)]), {
      mode: 0o755,
    });
    const { end } = await bench.run([path]);
    expect(end).toMatchObject({ errno: 'ENOEXEC', reason: 'corrupt' });
  });

  it('starts the child with default signals, an empty mask, no descriptor but three, and above the agent for the OOM killer', async () => {
    const script =
      'grep -E "^Sig(Blk|Ign)" /proc/self/status; ls /proc/self/fd | wc -w; cat /proc/self/oom_score_adj';
    const step = bench.start(['sh', '-c', script]);
    const { logBytes } = await step.ended;
    const lines = outputOf(step.dir, logBytes).stdout.toString().split('\n');
    expect(lines[0]).toMatch(/SigBlk:\s+0{16}/);
    expect(lines[1]).toMatch(/SigIgn:\s+0{16}/);
    expect(lines[2]).toBe('4'); // three, and the one ls reads the folder with
    expect(Number(lines[3])).toBeGreaterThan(0);
  });

  it('reports what the main process used', async () => {
    const { usage } = await bench.run([
      'perl',
      '-e',
      'my $x = "a" x 30_000_000; 1 for 1..3_000_000',
    ]);
    expect(usage?.maxRssKiB).toBeGreaterThan(29_000);
    expect(usage?.userMs).toBeGreaterThan(1);
  });
});
