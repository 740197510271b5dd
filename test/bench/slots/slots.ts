/**
 * Whether real processes keep real slots full: makespan against the bound that no schedule beats, plus what
 * the same processes cost when Node spawns them bare with as many at once, measured just before.
 *
 *   goal: 1.05 * max(total / slots, longest) + spawn cost * items / slots
 *
 * The makespan is the run's own elapsed time, from its submit to its end, as `show` says it. A run until its
 * budget has to end within 2 % of it, its slots as busy in the last seconds as bare processes keep theirs, less 5 %.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import type { RunView } from '#protocol/fold/run-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { CpuMeter } from '../fleet/process-cpu.ts';
import { bareSpawnMs } from './bare.ts';
import { evenItems, lowerBoundMs, SEED, sleepSuite, unevenItems } from './items.ts';
import { parseSlotsOptions, type Part } from './options.ts';

const ALLOWED = 1.05;
const BUDGET_MS = 40_000;
/** Of the budget. */
const BUDGET_MARGIN = 0.02;
/** What a slot needs between two attempts may take so much of its time, beside what bare processes need. */
const BETWEEN = 0.05;
/** Before the end of the budget: the slots have to be as busy then as they were all the time. */
const END_MS = 2_000;
const RUN_MS = 600_000;
const SLOTS: Readonly<Record<Part, readonly number[]>> = {
  uneven: [64, 8],
  budget: [64, 8],
  even: [10, 50, 100],
};

export interface SlotsRow {
  readonly part: Part;
  readonly slots: number;
  readonly items: number;
  /** That no schedule beats; of `budget` the budget. */
  readonly boundMs: number;
  /** Of one process, bare. */
  readonly spawnMs: number;
  readonly goalMs: number;
  readonly makespanMs: number;
  /** Slot-time in which a process ran, over all slot-time from the first start to the end of the run. */
  readonly utilisation: number;
  /** The same within the last seconds of the budget; null where there is none. */
  readonly atEnd: number | null;
  readonly isMet: boolean;
  /** Shares of a core. */
  readonly cpu: Readonly<Record<string, number>>;
}

export async function slots(args: readonly string[]): Promise<void> {
  const options = parseSlotsOptions(args);
  const rows: SlotsRow[] = [];
  for (const part of options.parts) {
    const mesh = await TestMesh.create();
    try {
      for (const [at, count] of SLOTS[part].entries()) {
        const isWanted = options.slots === null || options.slots === count;
        // The first of a suite has no last run to go by, whatever is wanted.
        if (part === 'uneven' && at === 0) await history(mesh, count);
        if (!isWanted) continue;
        const row = await measure(mesh, part, count);
        rows.push(row);
        if (!options.json) console.log(`  ${lineOf(row)}`);
      }
    } finally {
      await mesh.dispose();
    }
  }
  if (options.json) console.log(JSON.stringify({ bench: 'slots', seed: SEED, rows }));
}

async function history(mesh: TestMesh, count: number): Promise<void> {
  await mesh.up('--slots', String(count));
  await finished(mesh, suiteOf('uneven'));
}

async function measure(mesh: TestMesh, part: Part, count: number): Promise<SlotsRow> {
  const items = itemsOf(part);
  const spawnMs = await bareSpawnMs(items, count);
  await mesh.ok('down');
  await mesh.up('--slots', String(count));
  const pids = {
    server: [await mesh.pid('server')],
    coordinator: [await mesh.pid('coordinator')],
    agent: [await mesh.pid('agent')],
  };
  const meter = new CpuMeter(pids);
  const { view, attempts } = await finished(mesh, suiteOf(part));
  const cpu = meter.shares();
  const makespanMs = view.elapsedMs;
  const isBudget = part === 'budget';
  const boundMs = isBudget ? BUDGET_MS : lowerBoundMs(items, count);
  const goalMs = isBudget
    ? BUDGET_MS * (1 + BUDGET_MARGIN)
    : ALLOWED * boundMs + (spawnMs * items.length) / count;
  const beganMs = Date.parse(view.submitted);
  const endMs = isBudget ? beganMs + BUDGET_MS : beganMs + makespanMs;
  const utilisation = shareOf(attempts, { fromMs: firstStartMs(attempts), toMs: endMs }) / count;
  const atEnd = isBudget
    ? shareOf(attempts, { fromMs: endMs - END_MS, toMs: endMs }) / count
    : null;
  const lengthMs = items.reduce((sum, one) => sum + one, 0) / items.length;
  const busiest = lengthMs / (lengthMs + spawnMs);
  const isMet = isBudget
    ? Math.abs(makespanMs - BUDGET_MS) <= BUDGET_MS * BUDGET_MARGIN &&
      (atEnd ?? 0) >= busiest - BETWEEN
    : makespanMs <= goalMs;
  if (!isBudget && view.outcomes.passed !== items.length)
    throw new Error(`not all passed: ${JSON.stringify(view.outcomes)}`);
  return {
    ...{ part, slots: count, items: attempts.length, boundMs, spawnMs, goalMs, makespanMs },
    ...{ utilisation, atEnd, isMet, cpu },
  };
}

function itemsOf(part: Part): number[] {
  return part === 'even' ? evenItems(1_800, 1_000) : unevenItems();
}

function suiteOf(part: Part): string {
  const extra = {
    uneven: 'order: longest-first\n',
    budget: `repeat: until-budget\nrunBudget: ${BUDGET_MS / 1_000}s\natBudget: stop\n`,
    even: '',
  };
  return sleepSuite(part, itemsOf(part), extra[part]);
}

async function finished(
  mesh: TestMesh,
  text: string,
): Promise<{ view: RunView; attempts: AttemptView[] }> {
  const run = await mesh.submit(await mesh.file('slots.yaml', text));
  const directory = await mesh.archived(run, RUN_MS);
  const { run: view } = await mesh.json<{ run: RunView }>('show', run);
  const lines = (await readFile(join(directory, 'attempts.ndjson'), 'utf8')).trimEnd().split('\n');
  return { view, attempts: lines.map((line) => JSON.parse(line) as AttemptView) };
}

function firstStartMs(attempts: readonly AttemptView[]): number {
  return attempts.reduce(
    (least, { started }) => (started === null ? least : Math.min(least, Date.parse(started))),
    Infinity,
  );
}

/** Of the time between two moments, in slots: how many had a process on the average. */
function shareOf(
  attempts: readonly AttemptView[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): number {
  const usedMs = attempts.reduce((sum, { started, steps }) => {
    if (started === null) return sum;
    const beganMs = Date.parse(started);
    const tookMs = steps.reduce((all, { durationMs }) => all + durationMs, 0);
    return sum + Math.max(0, Math.min(toMs, beganMs + tookMs) - Math.max(fromMs, beganMs));
  }, 0);
  return usedMs / (toMs - fromMs);
}

function lineOf(row: SlotsRow): string {
  const seconds = (lengthMs: number): string => `${(lengthMs / 1_000).toFixed(2)} s`;
  const cpu = Object.entries(row.cpu).map(([name, share]) => `${name} ${share.toFixed(2)}`);
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  const end = row.atEnd === null ? '' : `, ${percent(row.atEnd)} in its last seconds`;
  return [
    `${row.part}, ${row.slots} slots:`.padEnd(18),
    `${seconds(row.makespanMs)} (bound ${seconds(row.boundMs)}, spawn ${row.spawnMs.toFixed(2)} ms each, goal ${seconds(row.goalMs)}: ${row.isMet ? 'met' : 'NOT met'}),`,
    `${row.items} attempts, utilisation ${percent(row.utilisation)}${end}; CPU ${cpu.join(', ')}`,
  ].join(' ');
}
