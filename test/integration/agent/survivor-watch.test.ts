/** Survivors of real steps: who tells when they are gone, and that nobody is told twice or too late. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { SurvivorWatch } from '#agent/attempt/survivor-watch.ts';
import { createSupervisor } from '#agent/process/supervisor.ts';
import type { Rung, StepOutcome } from '#agent/process/types.ts';
import { stepDir } from '#agent/state/state-folder.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { goneLine, StepBench, type RunningStep } from '#test/support/process-step.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

interface Watched {
  readonly bench: StepBench;
  readonly watch: SurvivorWatch;
  readonly gone: string[];
  readonly bugs: unknown[];
  /** Looks that are due: what the clock was asked for. */
  readonly due: (() => void)[];
}

let watched: Watched;
afterEach(() => {
  watched.watch.close();
  watched.bench.dispose();
  expect(watched.bugs).toEqual([]);
});

async function open(rung: Rung): Promise<Watched> {
  const bench = new StepBench(await createSupervisor({ rung }));
  const [gone, bugs, due]: [string[], unknown[], (() => void)[]] = [[], [], []];
  const clock = {
    now: () => ({ wallMs: 0, monotonicMs: 0 }),
    after: (_delayMs: number, fire: () => void) => {
      due.push(fire);
      return { cancel: () => undefined };
    },
  };
  const onBug = (error: unknown): unknown => bugs.push(error);
  const watch = new SurvivorWatch({
    deps: { supervisor: bench.supervisor, clock, onBug },
    log: silentLog,
    work: bench.root,
    onGone: (step) => gone.push(step),
  });
  watched = { bench, watch, gone, bugs, due };
  return watched;
}

/** A step whose processes do not end: as its record says, since none can be made that KILL spares. */
async function surviving(
  { bench }: Watched,
  recordOf: (pid: number) => object,
): Promise<{ step: RunningStep; pid: number }> {
  const dir = stepDir(bench.root, 'run');
  mkdirSync(dir, { recursive: true });
  const step = bench.start(['sleep', '60'], {}, dir);
  const pid = await step.started;
  step.handle.detach();
  appendFileSync(join(dir, 'record'), `${JSON.stringify(recordOf(pid))}\n`);
  return { step, pid };
}

const scanned = (pid: number): object =>
  goneLine({ empty: false, proof: 'scan', survivors: [pid] });
const told = (pid: number): object => ({ type: 'survivors', count: 1, pids: [pid] });

async function outcomeOf({ bench }: Watched): Promise<StepOutcome> {
  const found = await bench.supervisor.adopt(stepDir(bench.root, 'run'), {
    onEnd: () => undefined,
  });
  if (found.kind !== 'ended') throw new Error(found.kind);
  return found.outcome;
}

/** Fires what is due, and waits for what it asks for next. */
async function look(): Promise<void> {
  const { due, gone } = watched;
  expect(due).toHaveLength(1);
  due.shift()?.();
  await until(() => due.length + gone.length > 0, 'the answer');
}

describe('survivors that a scan named', () => {
  it('are looked for until none is left, and that is told once', async () => {
    const at = await open('scan');
    const { pid } = await surviving(at, scanned);
    at.watch.onEnd('run', await outcomeOf(at), null);
    await look();
    await look();
    expect(at.gone).toEqual([]);
    process.kill(pid, 'SIGKILL');
    await until(() => !isRunning(pid), 'its death');
    await look();
    expect([at.gone, at.due]).toEqual([['run'], []]);
  });

  it('are not looked for when there are none, nor after the close', async () => {
    const at = await open('scan');
    const { pid } = await surviving(at, scanned);
    const outcome = await outcomeOf(at);
    at.watch.onEnd('other', { ...outcome, gone: { ...outcome.gone, survivors: [] } }, null);
    expect(at.due).toEqual([]);
    at.watch.onEnd('run', outcome, null);
    at.watch.close();
    process.kill(pid, 'SIGKILL');
    await until(() => !isRunning(pid), 'its death');
    for (const fire of at.due.splice(0)) fire();
    await outcomeOf(at); // whatever it had asked for would have been answered
    expect([at.gone, at.due]).toEqual([[], []]);
  });
});

describe('survivors that meshrun holds', () => {
  it('are told by it, also after a restart of the agent', async () => {
    const at = await open('subreaper');
    const { pid } = await surviving(at, told);
    at.watch.look('run');
    const ends: StepOutcome[] = [];
    const stop = await at.bench.supervisor.adopt(stepDir(at.bench.root, 'run'), {
      onEnd: (outcome) => ends.push(outcome),
    });
    // Who asked first has been told by then that there are survivors.
    await until(() => ends.length > 0, 'the end');
    expect(at.gone).toEqual([]);
    if (stop.kind !== 'alive') throw new Error(stop.kind);
    stop.handle.stop({ now: true });
    await until(() => at.gone.length > 0, 'that they are gone');
    expect([at.gone, at.due, isRunning(pid)]).toEqual([['run'], [], false]);
  });

  it('are looked for where no handle tells of them', async () => {
    const at = await open('subreaper');
    await surviving(at, told);
    const ends: StepOutcome[] = [];
    const dir = stepDir(at.bench.root, 'run');
    await at.bench.supervisor.adopt(dir, { onEnd: (outcome) => ends.push(outcome) });
    const end = await until(() => ends[0], 'the end');
    expect(end.gone.proof).toBe('subreaper');
    at.watch.onEnd('run', end, null);
    expect(at.due).toHaveLength(1);
  });
});

it('a step of which nothing was ever started has none', async () => {
  const at = await open('subreaper');
  at.watch.look('run');
  await until(() => at.gone.length > 0, 'the answer');
  expect(at.gone).toEqual(['run']);
});
