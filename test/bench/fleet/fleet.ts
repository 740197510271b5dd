/**
 * A thousand agents on one machine: real nats-server, real coordinator, real protocol, reducers of the
 * real agent; only the hosts are not there, their processes are waits.
 */
import { cpus } from 'node:os';
import { ms, printRows, summarise } from '../figures.ts';
import { FleetMesh } from './fleet-mesh.ts';
import { idleRound } from './idle-round.ts';
import { matrixRound, type MatrixFigures } from './matrix-round.ts';
import { parseFleetOptions, type FleetOptions } from './options.ts';
import { stopRounds, type StopFigures } from './stop-round.ts';

export async function fleet(args: readonly string[]): Promise<void> {
  const options = parseFleetOptions(args);
  const { agents, slots, tasks, leastMs, mostMs, processes } = options;
  const perSecond = (agents * slots * 2_000) / (leastMs + mostMs);
  console.log(
    `  asked for: ${agents} agents x ${slots} slots in ${processes} processes, ${tasks} tasks of ` +
      `${leastMs / 1_000} to ${mostMs / 1_000} s: ${perSecond.toFixed(0)} tasks/s when every slot is busy`,
  );
  const beganMs = performance.now();
  const mesh = await FleetMesh.start(options);
  const onSignal = (): void => {
    void mesh.close().then(() => process.exit(1));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    const startMs = performance.now() - beganMs;
    const idle = await idleRound(mesh);
    printRows([
      ['all agents there after', seconds(startMs)],
      ['CPU of the fleet at rest', shares(idle)],
    ]);
    printMatrix(await matrixRound(mesh, options), options);
    if (options.stops > 0) printStops(await stopRounds(mesh, options), options);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await mesh.close();
  }
}

function printMatrix(
  figures: MatrixFigures,
  { agents, slots, leastMs, mostMs }: FleetOptions,
): void {
  const { gapsMs } = figures;
  const offered = (agents * slots * 2_000) / (leastMs + mostMs);
  printRows([
    ['submit by the CLI', seconds(figures.submitMs)],
    ['ended exactly once', `${figures.tasks} of ${figures.tasks}, audit agrees`],
    ['every slot had a start after', seconds(figures.filledMs)],
    ['assignments, first fill', `${figures.fillPerSecond.toFixed(0)} a second`],
    [
      'assignments, until the queue was empty',
      `${figures.startsPerSecond.toFixed(0)} a second over ${seconds(figures.queueMs)} (slots can take ${offered.toFixed(0)})`,
    ],
    ['utilisation until the queue was empty', percent(figures.utilisation)],
    ['  from the first fill on', percent(figures.utilisationFilled)],
    [
      'slot free to next start',
      `${gapsMs.p50.toFixed(1)} ms p50, ${gapsMs.p99.toFixed(1)} ms p99, ${gapsMs.most.toFixed(0)} ms at most`,
    ],
    [`CPU, of ${cpus().length} cores`, shares(figures.cpu)],
    ['CPU time of a start', times(figures.cpuPerStartMs, 2)],
    ['coordinator memory at the empty queue', `${figures.coordinatorMiB.toFixed(0)} MiB`],
    [
      'streams filled by the run',
      `commands ${percent(figures.storedShare.commands)}, events ${percent(figures.storedShare.events)}`,
    ],
    ['last task over, run archived', `${seconds(figures.endedMs)}, ${seconds(figures.archivedMs)}`],
  ]);
}

function printStops(figures: StopFigures, { agents, stops, stopTasks }: FleetOptions): void {
  const [received, done, bare] = [figures.receivedMs, figures.doneMs, figures.bareMs].map(
    summarise,
  );
  if (received === undefined || done === undefined || bare === undefined) return;
  printRows([
    [`stop of ${agents * stopTasks} tasks, ${stops} tries`, ''],
    ['  received by every agent', ms(received)],
    ['  done on every agent', ms(done)],
    ['  CPU time until then', times(figures.stopCpuMs, 0)],
    ['bare stored broadcast to the same durables', ms(bare)],
    ['  CPU time until then', times(figures.bareCpuMs, 0)],
    [
      '  ratio of the stop to it',
      `${(received.median / bare.median).toFixed(2)} received, ${(done.median / bare.median).toFixed(2)} done`,
    ],
  ]);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function shares(cpu: Readonly<Record<string, number>>): string {
  return Object.entries(cpu)
    .map(([part, share]) => `${part} ${percent(share)}`)
    .join(', ');
}

/** Milliseconds by process, and together. */
function times(cpuMs: Readonly<Record<string, number>>, digits: number): string {
  const parts = Object.entries(cpuMs);
  const all = parts.reduce((sum, [, ms]) => sum + ms, 0);
  return `${all.toFixed(digits)} ms: ${parts.map(([part, ms]) => `${part} ${ms.toFixed(digits)}`).join(', ')}`;
}
