/** What an attempt's telemetry says, in words. Pure: from the result or from samples to lines. */
import type {
  AttemptSample,
  AttemptTelemetry,
  HostSample,
  Perturbation,
  SeriesSummary,
} from '#protocol/messages/agent/telemetry.ts';
import { bytes, duration, plural, quantity } from './format.ts';
import type { Style } from './style.ts';
import { table, type Column } from './table.ts';
import { oneLine } from './text.ts';

/** The few lines `show RUN/TASK` has of it; none where nothing was measured. */
export function telemetryLines(telemetry: AttemptTelemetry | null): string[] {
  if (telemetry === null) return [];
  const { series } = telemetry;
  const parts = [
    part(series['cpu'], 'cpu', (value) => `${quantity(milli(value))} cores`),
    part(series['memory.rss'], 'memory', bytes),
    ...Object.entries(series)
      .filter(([name]) => /^gpu\.\d+\.utilisation$/.test(name))
      .map(([name, of]) =>
        part(of, name.split('.').slice(0, 2).join(' '), (v) => `${quantity(v)}%`),
      ),
  ].filter((text) => text !== null);
  return [
    ...(parts.length === 0 ? [] : [`measured: ${parts.join(', ')} (${coverageText(telemetry)})`]),
    ...noteLines(telemetry),
  ];
}

/** What was in the way, and what is not known. */
export function noteLines({ perturbed, gaps, problems, dropped }: AttemptTelemetry): string[] {
  return [
    ...(perturbed ?? []).map((one) => `perturbed: ${perturbationText(one)}`),
    ...gaps.map(
      ({ fromMs, toMs, reason }) =>
        `not measured: ${duration(fromMs)} to ${duration(toMs)}: ${reason}`,
    ),
    ...problems.map((problem) => `not measured: ${problem}`),
    ...(dropped === 0 ? [] : [`${plural(dropped, 'sample')} could not be stored`]),
  ].map(oneLine);
}

function part(
  series: SeriesSummary | undefined,
  name: string,
  say: (value: number) => string,
): string | null {
  return series === undefined ? null : `${name} ${say(series.mean)} mean, ${say(series.max)} most`;
}

/** `12 samples of 11.9 s`. */
export function coverageText({ samples, coveredMs }: AttemptTelemetry): string {
  return `${plural(samples, 'sample')} of ${duration(coveredMs)}`;
}

const WORDS: Readonly<Record<Perturbation['reason'], string>> = {
  other_cpu: 'something else used the CPU',
  cpu_stolen: 'the hypervisor gave the CPU to others',
  neighbour: 'another attempt ran beside it',
  gpu_throttled: 'clocks were throttled',
  gpu_foreign: 'a process of no attempt used the GPU',
};

export function perturbationText(one: Perturbation): string {
  const amount =
    one.mean === null
      ? ''
      : `: ${quantity(one.mean)} ${one.unit ?? ''} mean, ${quantity(one.max ?? one.mean)} most`;
  const where = one.gpu === null ? '' : ` on ${one.gpu}`;
  const what = one.what.length === 0 ? '' : `: ${one.what.join(', ')}`;
  const share = one.mean === null ? `, ${Math.ceil(one.share * 100)}% of the time` : '';
  return `${WORDS[one.reason]}${where}${what}${amount}${share}`;
}

/** Every series of the result. */
export function seriesTable(
  telemetry: AttemptTelemetry,
  about: { readonly style: Style; readonly width: number | null },
): string[] {
  type Row = readonly [string, SeriesSummary];
  const value = (of: (series: SeriesSummary) => number): Column<Row>['value'] => {
    return ([, series]) => amountText(of(series), series.unit);
  };
  const columns: Column<Row>[] = [
    { header: 'series', value: ([name]) => name, isKey: true },
    { header: 'mean', value: value((series) => series.mean), align: 'right' },
    { header: 'p95', value: value((series) => series.p95), align: 'right' },
    { header: 'max', value: value((series) => series.max), align: 'right' },
    { header: 'min', value: value((series) => series.min), align: 'right' },
    { header: 'unit', value: ([, series]) => unitText(series.unit) },
    {
      header: 'samples',
      value: ([, series]) => String(series.count),
      align: 'right',
      optional: true,
    },
  ];
  return table(Object.entries(telemetry.series), columns, {
    width: about.width,
    paintHeader: about.style.dim,
  });
}

function amountText(value: number, unit: string): string {
  return unit === 'bytes' || unit === 'bytes/s' ? bytes(value) : quantity(value);
}

/** What the amount does not say itself. */
function unitText(unit: string): string {
  if (unit === 'bytes') return '-';
  return unit === 'bytes/s' ? '/s' : unit;
}

/** One sample of an attempt on one line. */
export function attemptSampleText(sample: AttemptSample): string {
  const { elapsedMs, cores, rssBytes, readBps, writeBps, processes } = sample;
  return [
    duration(elapsedMs).padStart(9),
    `cpu ${known(cores, (value) => value.toFixed(2))}`,
    `memory ${known(rssBytes, bytes)}`,
    `read ${known(readBps, bytes)}/s`,
    `write ${known(writeBps, bytes)}/s`,
    plural(processes, 'process'),
  ].join('  ');
}

/** One sample of a host on one line. */
export function hostSampleText(sample: HostSample): string {
  const percent = (value: number): string => `${Math.round(value * 100)}%`;
  return [
    new Date(sample.timeMs).toISOString().slice(11, 19),
    `busy ${known(sample.cpuBusy, percent)}`,
    `iowait ${known(sample.cpuIowait, percent)}`,
    `other ${known(sample.otherCores, (value) => value.toFixed(2))}`,
    `agent ${known(sample.agentCores, (value) => value.toFixed(2))}`,
    `memory ${known(sample.memoryUsedBytes, bytes)}`,
    `read ${known(sample.diskReadBps, bytes)}/s`,
    `write ${known(sample.diskWriteBps, bytes)}/s`,
    ...sample.gpus.map((gpu, at) => gpuText(gpu, at)),
    ...(sample.gpuReason === null ? [] : [oneLine(sample.gpuReason)]),
  ].join('  ');
}

function gpuText(gpu: HostSample['gpus'][number], at: number): string {
  const reasons = (gpu.clockReasons ?? []).filter((reason) => reason !== 'idle');
  return [
    `gpu ${gpu.index ?? at}`,
    known(gpu.utilisationPercent, (value) => `${value}%`),
    known(gpu.powerW, (value) => `${Math.round(value)} W`),
    known(gpu.temperatureC, (value) => `${value} C`),
    known(gpu.smMHz, (value) => `${value} MHz`),
    ...(reasons.length === 0 ? [] : [reasons.join('+')]),
  ].join(' ');
}

function known(value: number | null, say: (value: number) => string): string {
  return value === null ? '-' : say(value);
}

const milli = (value: number): number => Math.round(value * 1_000) / 1_000;
