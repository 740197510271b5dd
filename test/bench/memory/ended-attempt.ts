/** What agents store of attempts that have ended, each a little different: with what was measured of them, or bare. */
import type { MessageData } from '#protocol/messages/catalog.ts';
import type { SeriesSummary } from '#protocol/messages/agent/telemetry.ts';

export interface EndedAttempt {
  /** Of its task. */
  readonly index: number;
  readonly agent: string;
  readonly command: string;
  readonly isMeasured: boolean;
}

const SERIES: readonly (readonly [string, string, number])[] = [
  ['cpu', 'cores', 0.97],
  ['memory.rss', 'bytes', 1_234_567_168],
  ['memory.private', 'bytes', 1_134_567_424],
  ['disk.read', 'bytes/s', 73_400],
  ['disk.write', 'bytes/s', 18_210],
  ['processes', 'count', 3],
  ['host.cpu.busy', 'ratio', 0.31],
  ['host.cpu.iowait', 'ratio', 0.0132],
  ['host.cpu.steal', 'ratio', 0],
  ['host.cpu.other', 'cores', 0.043],
  ['host.load1', 'count', 2.31],
  ['host.memory.used', 'bytes', 9_234_567_168],
  ['host.swap.used', 'bytes', 0],
  ['host.disk.read', 'bytes/s', 93_400],
  ['host.disk.write', 'bytes/s', 28_210],
  ['host.disk.busy', 'ratio', 0.021],
  ['agent.cpu', 'cores', 0.018],
  ['agent.memory.rss', 'bytes', 84_567_168],
];
const GPU: readonly (readonly [string, string, number])[] = [
  ['utilisation', 'percent', 93.4],
  ['memory.used', 'MiB', 61_234],
  ['power', 'W', 512.31],
  ['temperature', 'C', 61],
];
const HOST = {
  os: 'Debian GNU/Linux 12 (bookworm)',
  kernel: '6.1.0-18-amd64',
  cpuModel: 'Bench CPU',
  governor: null,
  maxMhz: null,
};
const SAMPLES = 60;

/** From 0 to 1, the same for the same numbers. */
function spread(index: number, salt: number): number {
  const value = Math.sin(index * 12.9898 + salt * 78.233) * 43_758.5453;
  return value - Math.floor(value);
}

/** As agents tell them: of six digits. */
function summary(
  index: number,
  [name, unit, value]: readonly [string, string, number],
): SeriesSummary {
  const around = (salt: number): number =>
    Number((value * (1 + 0.2 * spread(index, name.length + salt))).toPrecision(6));
  return { unit, count: SAMPLES, min: around(1), mean: around(2), max: around(3), p95: around(4) };
}

function resourcesOf(isMeasured: boolean): NonNullable<MessageData<'attempt.exited'>['resources']> {
  return { gpus: [], cpus: isMeasured ? [0, 1, 2, 3] : [], host: HOST };
}

export function stepStarted({
  index,
  agent,
  command,
  isMeasured,
}: EndedAttempt): MessageData<'attempt.step_started'> {
  const host = `host-of-${agent}`;
  const address = `192.0.2.${agent.length}`;
  return {
    ...{ elapsedMs: 4 + spread(index, 1), step: 'run', id: 'run', pid: 10_000 + (index % 30_000) },
    accepted: { command, host, address },
    resources: resourcesOf(isMeasured),
  };
}

export function exited({ index, isMeasured }: EndedAttempt): MessageData<'attempt.exited'> {
  const ranMs = 60_000 + 900 * spread(index, 2);
  const bare: MessageData<'attempt.exited'> = {
    elapsedMs: ranMs + 12.5,
    outcome: 'passed',
    ...{ stage: null, class: null, reason: null, stop: null },
    steps: [
      {
        ...{ step: 'run', id: 'run', end: 'exited', code: 0, signal: null, deadline: false },
        ...{ durationMs: ranMs, userMs: 31_250 + (index % 997), systemMs: 1_030 + (index % 97) },
        ...{ maxRssKiB: 1_084_320 + (index % 4_001), logBytes: 2_130 + (index % 313) },
        ...{ proof: 'cgroup', proven: true, processes: 1, survivors: [] },
      },
    ],
    ...{ metrics: [], logBytes: 2_130 + (index % 313), logGaps: [], teardownFailure: null },
    ...{ proven: true, survivors: [] },
    automatic: [{ name: 'step.run.duration', value: ranMs / 1_000, unit: 's', direction: 'lower' }],
    resources: resourcesOf(isMeasured),
  };
  if (!isMeasured) return bare;
  const gpus = GPU.map(([name, ...rest]) => [`gpu.0.${name}`, ...rest] as const);
  return {
    ...bare,
    metrics: [
      {
        ...{ name: 'tokens_per_second', value: 812 + spread(index, 5) },
        ...{ unit: 'tok/s', direction: 'higher' },
      },
    ],
    telemetry: {
      ...{ everyMs: 1_000, samples: SAMPLES, fromMs: 4, toMs: Math.round(ranMs) },
      ...{ coveredMs: 59_000 + (index % 900), gaps: [], dropped: 0 },
      series: Object.fromEntries([...SERIES, ...gpus].map((one) => [one[0], summary(index, one)])),
      problems: [],
      perturbed: null,
    },
  };
}
