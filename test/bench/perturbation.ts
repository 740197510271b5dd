/**
 * What a mesh around a benchmark changes in its result: a CPU loop on one CPU times itself, as the one
 * task of a mesh and without any mesh, in pairs of which every other one is the other way round.
 *
 * A second run without a mesh in each pair tells what the host alone changes from one run to the next:
 * where that floor is wider than the goal, the goal can be neither met nor missed there.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { TestMesh } from '#test/support/mesh.ts';
import { summarise, printRows } from './figures.ts';

const PAIRS = 30;
const GOAL_PERCENT = 0.5;
/** About a second of arithmetic in slices; prints what all took, ms, and the median of the slices. */
const LOOP = `
  function slice() {
    const begun = process.hrtime.bigint();
    let x = 1;
    for (let i = 0; i < 3e6; i += 1) x = (x * 31 + i) | 0;
    return Number(process.hrtime.bigint() - begun) / 1e6 + (x & 1) * 0;
  }
  for (let i = 0; i < 20; i += 1) slice();
  const took = Array.from({ length: 60 }, slice);
  const sum = took.reduce((all, ms) => all + ms, 0);
  console.log('took ' + sum + ' ms slice ' + took.sort((a, b) => a - b)[took.length >> 1] + ' ms');
`;
const COMMAND = ['taskset', '-c', String(availableParallelism() - 1), process.execPath, '-e', LOOP];

export async function perturbation(): Promise<void> {
  const mesh = await TestMesh.create();
  const pairs: Pair[] = [];
  try {
    const suite = await mesh.file('loop.yaml', `name: loop\nrun: ${JSON.stringify(COMMAND)}\n`);
    const inMesh = async (): Promise<Took> => {
      await mesh.up();
      const took = tookOf(await mesh.ok('logs', await finished(mesh, suite), '--raw'));
      await mesh.ok('down');
      return took;
    };
    for (let pair = 0; pair < PAIRS; pair += 1) {
      if (pair % 2 === 0) {
        const around = await inMesh();
        pairs.push({ around, alone: withoutMesh(), again: withoutMesh() });
      } else {
        const again = withoutMesh();
        const alone = withoutMesh();
        pairs.push({ around: await inMesh(), alone, again });
      }
    }
  } finally {
    await mesh.dispose();
  }
  const median = (which: keyof Pair): string =>
    `${summarise(pairs.map((pair) => pair[which].allMs)).median.toFixed(1)} ms median`;
  printRows([
    ['without a mesh', median('alone')],
    ['in a mesh', median('around')],
    ['all, a mesh changes', changeOf(pairs, 'around', 'allMs')],
    ['all, nothing changes', changeOf(pairs, 'again', 'allMs')],
    ['slice, a mesh changes', changeOf(pairs, 'around', 'sliceMs')],
    ['slice, nothing changes', changeOf(pairs, 'again', 'sliceMs')],
  ]);
}

interface Took {
  readonly allMs: number;
  /** Of sixty slices the median: what a neighbour takes now and then is not in it. */
  readonly sliceMs: number;
}

interface Pair {
  readonly around: Took;
  readonly alone: Took;
  readonly again: Took;
}

function changeOf(pairs: readonly Pair[], which: 'around' | 'again', figure: keyof Took): string {
  const changes = pairs.map((pair) => (pair[which][figure] / pair.alone[figure] - 1) * 100);
  const { low, high } = medianInterval(changes);
  const isInGoal = low > -GOAL_PERCENT && high < GOAL_PERCENT;
  return (
    `${signed(summarise(changes).median)} median, ${signed(low)} to ${signed(high)} (95% interval of ` +
    `${PAIRS} pairs); inside ${GOAL_PERCENT}%: ${isInGoal ? 'yes' : 'no'}`
  );
}

async function finished(mesh: TestMesh, suite: string): Promise<string> {
  const run = await mesh.submit(suite);
  await mesh.archived(run, 120_000);
  return run;
}

function withoutMesh(): Took {
  const [program = '', ...args] = COMMAND;
  return tookOf(spawnSync(program, args, { encoding: 'utf8' }).stdout);
}

function tookOf(output: string): Took {
  const [, all, slice] = /took ([0-9.]+) ms slice ([0-9.]+) ms/.exec(output) ?? [];
  if (all === undefined) throw new Error(`the loop said nothing of itself: ${output}`);
  return { allMs: Number(all), sliceMs: Number(slice) };
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
