/**
 * What a placement costs with so many tasks waiting, of five kinds of need and three priorities, on 16 agents; and
 * what is held for them. Each size is measured in a process of its own, the sizes by turns. At last a real coordinator
 * on a real server is given the most of them by the CLI: what it holds then, all that it is made of.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { peakResidentBytes } from '#test/support/processes.ts';
import { FleetMesh } from './fleet/fleet-mesh.ts';
import { parseFleetOptions } from './fleet/options.ts';
import { rssMiB } from './fleet/process-cpu.ts';
import { printRows, summarise } from './figures.ts';
import { manySuite } from './many-suite.ts';

const SIZES = [10_000, 100_000, 1_000_000];
const ROUNDS = 5;
/** Of the time of a placement with the most tasks, over that with the fewest. */
const MOST_RATIO = 1.5;
const MOST_MIB = 1_500;
const MIB = 1024 ** 2;
const CHILD = fileURLToPath(new URL('./placement-child.ts', import.meta.url));

export interface Measured {
  readonly microseconds: number;
  readonly submitMs: number;
  readonly rssMiB: number;
}

export async function placement(): Promise<void> {
  const taken = new Map<number, Measured[]>(SIZES.map((size) => [size, []]));
  for (let round = 0; round < ROUNDS; round += 1)
    for (const size of SIZES) taken.get(size)?.push(measure(size));
  const medianOf = (size: number, key: keyof Measured): number =>
    summarise((taken.get(size) ?? []).map((one) => one[key])).median;
  const floor = medianOf(SIZES[0] ?? 0, 'microseconds');
  printRows(
    SIZES.map((size) => {
      const each = medianOf(size, 'microseconds');
      const figures = [
        `${each.toFixed(1)} us a placement (${(each / floor).toFixed(2)} of the first)`,
        `${medianOf(size, 'submitMs').toFixed(0)} ms to take in`,
        `${medianOf(size, 'rssMiB').toFixed(0)} MiB resident`,
      ];
      return [`${size.toLocaleString('en-US')} pending`, figures.join(', ')];
    }),
  );
  const most = SIZES.at(-1) ?? NaN;
  const ratio = medianOf(most, 'microseconds') / floor;
  const { peakMiB, nowMiB, submitMs } = await realCoordinator(most);
  printRows([
    [
      'a placement',
      `${ratio.toFixed(2)} times, goal ${MOST_RATIO}: ${verdict(ratio <= MOST_RATIO)}`,
    ],
    [
      `coordinator, ${most.toLocaleString('en-US')} pending`,
      `${nowMiB.toFixed(0)} MiB resident, ${peakMiB.toFixed(0)} at most, goal ${MOST_MIB}: ${verdict(peakMiB < MOST_MIB)}; submitted in ${(submitMs / 1_000).toFixed(1)} s`,
    ],
  ]);
}

const verdict = (isMet: boolean): string => (isMet ? 'met' : 'NOT met');

/** One agent runs some of them, the others wait. */
async function realCoordinator(
  tasks: number,
): Promise<{ peakMiB: number; nowMiB: number; submitMs: number }> {
  const mesh = await FleetMesh.start(parseFleetOptions(['--agents', '1', '--processes', '1']));
  try {
    const beganMs = performance.now();
    await mesh.submit(manySuite(tasks));
    const submitMs = performance.now() - beganMs;
    const { pending } = await mesh.info();
    if (pending < tasks - 100) throw new Error(`${pending} of ${tasks} tasks wait`);
    const [pid = NaN] = mesh.pids().coordinator;
    return { peakMiB: peakResidentBytes(pid) / MIB, nowMiB: rssMiB(pid), submitMs };
  } finally {
    await mesh.close();
  }
}

function measure(size: number): Measured {
  const args = ['--expose-gc', '--import', 'tsx', CHILD, String(size)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Measured;
}
