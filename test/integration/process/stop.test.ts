/**
 * I5, I9: a stop ends everything, whatever the processes do to escape, and says what it rests
 * on. What is alive is found by the test itself, by a unique argument in the command lines.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createSupervisor } from '#agent/process/supervisor.ts';
import type { Rung, StepSpec } from '#agent/process/types.ts';
import { NO_CGROUPS } from '#test/support/cgroups.ts';
import { StepBench, type RunningStep } from '#test/support/process-step.ts';
import { processesMarked } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const TREE = resolve('test/fixtures/process-tree.pl');
const PROVING: readonly Rung[] = NO_CGROUPS === null ? ['subreaper', 'cgroup'] : ['subreaper'];
const RUNGS: readonly Rung[] = [...PROVING, 'scan'];
if (NO_CGROUPS !== null) process.stdout.write(`skipped: the cgroup rung: ${NO_CGROUPS}\n`);

let mark = `bm-mark-${process.pid}-none`;
let count = 0;
afterEach(() => {
  for (const pid of processesMarked(mark)) process.kill(pid, 'SIGKILL');
});

/** A tree that stands, of processes that carry the mark. */
async function tree(
  bench: StepBench,
  kinds: string,
  changes: Partial<StepSpec> = {},
): Promise<RunningStep> {
  mark = `bm-mark-${process.pid}-${(count += 1)}`;
  const ready = join(bench.root, `ready-${count}`);
  const step = bench.start(['perl', TREE, mark, ready, ...kinds.split(' ')], {
    graceMs: 300,
    ...changes,
  });
  await until(() => existsSync(ready), 'the tree to stand');
  return step;
}

describe.each(RUNGS)('stop on the %s rung', (rung) => {
  let bench: StepBench;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung }));
  });
  afterAll(() => {
    bench.dispose();
  });

  it.each([
    'plain=5',
    'setsid=5',
    'daemon=5',
    'stubborn=3',
    'stopped=3',
    'plain=60 setsid=60 daemon=40 stubborn=20 stopped=20',
  ])('leaves nothing of %s', async (kinds) => {
    const step = await tree(bench, kinds);
    const before = processesMarked(mark).length;
    expect(before).toBeGreaterThan(3);
    step.handle.stop();
    const { end, gone, stopRequested, deadline } = await step.ended;
    expect(processesMarked(mark)).toEqual([]);
    expect(end).toMatchObject({ kind: 'signaled', signal: 'SIGTERM' });
    expect({ stopRequested, deadline }).toEqual({ stopRequested: true, deadline: false });
    expect(gone).toMatchObject({ proof: rung, empty: rung !== 'scan', survivors: [] });
    expect(gone.processes).toBeGreaterThanOrEqual(before);
    expect(gone.signal).toBe(kinds.includes('stubborn') ? 'SIGKILL' : 'SIGTERM');
    expect(gone.goneMs).toBeGreaterThan(0);
  });

  it('kills at once when told so, also after a gentler stop', async () => {
    const step = await tree(bench, 'stubborn=3', { graceMs: 3_600_000 });
    step.handle.stop();
    step.handle.stop();
    await until(() => existsSync(join(bench.root, 'stop')), 'the stop file');
    step.handle.stop({ now: true });
    const { gone } = await step.ended;
    expect(gone.signal).toBe('SIGKILL');
    expect(processesMarked(mark)).toEqual([]);
    expect(step.calls.end).toBe(1);
  });

  it('lets the program end by itself within the grace, and reports its code', async () => {
    const ready = join(bench.root, `own-${rung}`);
    const script = 'trap "exit 7" USR1; : > "$1"; while :; do sleep 0.02; done';
    const step = bench.start(['sh', '-c', script, 'sh', ready], { stopSignal: 'SIGUSR1' });
    await until(() => existsSync(ready));
    step.handle.stop();
    expect(await step.ended).toMatchObject({
      end: { kind: 'exited', code: 7 },
      stopRequested: true,
    });
  });

  it('ends a step at its budget', async () => {
    const outcome = await bench.run(['sleep', '60'], { budgetMs: 100 });
    expect(outcome).toMatchObject({
      end: { kind: 'signaled', signal: 'SIGTERM' },
      deadline: true,
      stopRequested: false,
    });
    const late = await bench.run(['true'], { budgetMs: 60_000 });
    expect(late).toMatchObject({ deadline: false });
  });

  it('kills what a main process leaves behind when it ends by itself', async () => {
    mark = `bm-mark-${process.pid}-left-${rung}`;
    const script = '(setsid perl -e "sleep 60" "$1" &); perl -e "sleep 60" "$1" & exit 5';
    const { end, gone } = await bench.run(['sh', '-c', script, 'sh', mark]);
    expect(end).toEqual({ kind: 'exited', code: 5 });
    expect(processesMarked(mark)).toEqual([]);
    expect(gone).toMatchObject({ signal: 'SIGKILL', goneMs: null, empty: rung !== 'scan' });
    expect(gone.waves).toBeGreaterThan(0);
  });

  it('takes a stop of a step that is just being started', async () => {
    const step = bench.start(['sleep', '60']);
    step.handle.stop({ now: true });
    const { end, stopRequested } = await step.ended;
    expect(end.kind).toMatch(/signaled/);
    expect(stopRequested).toBe(true);
  });

  it('calls nothing after detach, and the step goes on', async () => {
    const step = await tree(bench, 'plain=1');
    step.handle.detach();
    expect(processesMarked(mark)).toHaveLength(2);
    const found = await bench.adopt(step.dir);
    expect(found.kind).toBe('alive');
    found.step?.handle.stop({ now: true });
    expect(await found.step?.ended).toMatchObject({ stopRequested: true });
    expect(step.calls.end).toBe(0);
  });
});

describe.each(PROVING)('stop where a scan is not enough, on the %s rung', (rung) => {
  let bench: StepBench;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung }));
  });
  afterAll(() => {
    bench.dispose();
  });

  it.each([
    'envless=5',
    'chain=40',
    'plain=60 setsid=50 daemon=30 envless=30 stubborn=20 stopped=10 chain=30',
  ])('leaves nothing of %s, and proves it', async (kinds) => {
    const step = await tree(bench, kinds);
    step.handle.stop();
    const { gone } = await step.ended;
    expect(processesMarked(mark)).toEqual([]);
    expect(gone).toMatchObject({ proof: rung, empty: true, survivors: [] });
  });

  it('ends a chain that forks on for as long as it may', async () => {
    const step = await tree(bench, 'chain=2000', { graceMs: 100 });
    await until(() => processesMarked(mark).length > 10, 'the chain to run');
    step.handle.stop({ now: true });
    const { gone } = await step.ended;
    expect(processesMarked(mark)).toEqual([]);
    expect(gone.empty).toBe(true);
  });

  it('enforces the budget of a stubborn tree', async () => {
    const step = await tree(bench, 'stubborn=2 envless=2', { budgetMs: 1000, graceMs: 100 });
    expect(await step.ended).toMatchObject({
      deadline: true,
      stopRequested: false,
      gone: { empty: true, signal: 'SIGKILL' },
    });
    expect(processesMarked(mark)).toEqual([]);
  });

  it('ends as it should when meshrun itself gets TERM, and shrugs off HUP', async () => {
    const step = await tree(bench, 'setsid=2');
    const record = readFileSync(join(step.dir, 'record'), 'utf8');
    const { meshrun } = JSON.parse(record.split('\n')[0] ?? '') as { meshrun: number };
    process.kill(meshrun, 'SIGHUP');
    process.kill(meshrun, 'SIGTERM');
    expect(await step.ended).toMatchObject({ stopRequested: true, gone: { empty: true } });
    expect(processesMarked(mark)).toEqual([]);
  });
});

describe('stop on the scan rung', () => {
  it('misses daemons with an empty environment, and claims nothing', async () => {
    const bench = new StepBench(await createSupervisor({ rung: 'scan' }));
    const step = await tree(bench, 'envless=2 plain=2');
    step.handle.stop();
    const { gone } = await step.ended;
    expect(processesMarked(mark)).toHaveLength(2);
    expect(gone).toMatchObject({ proof: 'scan', empty: false });
    bench.dispose();
  });
});
