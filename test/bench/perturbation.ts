/**
 * What a mesh around a benchmark changes in its result: a CPU loop on one CPU times itself, as the one
 * task of a mesh and without any mesh, in pairs of which every other one is the other way round.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { TestMesh } from '#test/support/mesh.ts';
import { summarise, printRows } from './figures.ts';

const PAIRS = 30;
const GOAL_PERCENT = 0.5;
/** About a second of arithmetic; prints what it took, ms. */
const LOOP = `
  const begun = process.hrtime.bigint();
  let x = 1;
  for (let i = 0; i < 4e8; i += 1) x = (x * 31 + i) | 0;
  console.log('took ' + Number(process.hrtime.bigint() - begun) / 1e6 + ' ms ' + (x & 1));
`;
const COMMAND = ['taskset', '-c', String(availableParallelism() - 1), process.execPath, '-e', LOOP];

export async function perturbation(): Promise<void> {
  const mesh = await TestMesh.create();
  const around: number[] = [];
  const alone: number[] = [];
  try {
    const suite = await mesh.file('loop.yaml', `name: loop\nrun: ${JSON.stringify(COMMAND)}\n`);
    const inMesh = async (): Promise<void> => {
      await mesh.up();
      around.push(tookOf(await mesh.ok('logs', await finished(mesh, suite), '--raw')));
      await mesh.ok('down');
    };
    for (let pair = 0; pair < PAIRS; pair += 1) {
      if (pair % 2 === 0) await inMesh();
      alone.push(withoutMesh());
      if (pair % 2 === 1) await inMesh();
    }
  } finally {
    await mesh.dispose();
  }
  const changes = around.map((ms, pair) => (ms / (alone[pair] ?? NaN) - 1) * 100);
  const { low, high } = medianInterval(changes);
  const isInGoal = low > -GOAL_PERCENT && high < GOAL_PERCENT;
  printRows([
    ['without a mesh', `${summarise(alone).median.toFixed(1)} ms median`],
    ['in a mesh', `${summarise(around).median.toFixed(1)} ms median`],
    [
      `change, ${PAIRS} pairs`,
      `${signed(summarise(changes).median)} median, ${signed(low)} to ${signed(high)} (95% interval); ` +
        `goal: inside ${GOAL_PERCENT}%: ${isInGoal ? 'yes' : 'no'}`,
    ],
  ]);
}

async function finished(mesh: TestMesh, suite: string): Promise<string> {
  const run = await mesh.submit(suite);
  await mesh.archived(run, 120_000);
  return run;
}

function withoutMesh(): number {
  const [program = '', ...args] = COMMAND;
  return tookOf(spawnSync(program, args, { encoding: 'utf8' }).stdout);
}

function tookOf(output: string): number {
  const ms = Number(/took ([0-9.]+) ms/.exec(output)?.[1]);
  if (Number.isNaN(ms)) throw new Error(`the loop said nothing of itself: ${output}`);
  return ms;
}

/** Of the median, by order statistics: no assumption about how the values are spread. */
function medianInterval(values: readonly number[]): { low: number; high: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const half = 0.98 * Math.sqrt(sorted.length);
  const low = Math.max(0, Math.floor(sorted.length / 2 - half));
  const high = Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + half) - 1);
  return { low: sorted[low] ?? NaN, high: sorted[high] ?? NaN };
}

function signed(percent: number): string {
  return `${percent < 0 ? '' : '+'}${percent.toFixed(2)}%`;
}
