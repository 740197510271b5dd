/** Mutations of /proc and of a looping nvidia-smi, for everything in agent/telemetry that reads them. */
import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ratesBetween, readCounters, readLevels } from '#agent/telemetry/host-meter.ts';
import { readOwn } from '#agent/telemetry/own-cost.ts';
import type { ProcFiles } from '#agent/telemetry/proc-reader.ts';
import { readTree } from '#agent/telemetry/process-tree.ts';
import { readReadings } from '#agent/telemetry/amd-readings.ts';
import { SmiLines } from '#agent/telemetry/smi-lines.ts';
import { AttemptSummary } from '#agent/telemetry/summary.ts';
import { AttemptTelemetry, GpuSample, HostSample } from '#protocol/messages/agent/telemetry.ts';
import { CAPTURES, section } from './smi-captures.ts';
import { ROCM_NEW, ROCM_OLD } from './rocm-answers.ts';
import { smiRow, smiTable } from './smi-loop.ts';

const PROC = join(import.meta.dirname, '..', 'fixtures', 'proc');
const SEEDS = [
  ...readdirSync(PROC)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => readFileSync(join(PROC, name), 'utf8')),
  ...CAPTURES.map((capture) => section(capture, 'load-gpus')),
  `${smiTable()}\n${smiRow({ reasons: '0x24' })}\n${smiRow({ index: 1, uuid: 'GPU-2' })}\n`,
  ROCM_OLD,
  ROCM_NEW,
];
const CHUNKS = [
  ...['\n', '\0', ' ', ',', ')', '-1', '0x', '[N/A]', 'ERR!', '99999999999999999999', 'NaN', '1e9'],
  ...['cpu  ', 'uuid', 'read_bytes: ', 'MemTotal: ', '7 '.repeat(3_000), 'x'.repeat(70_000)],
];

const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  drop: fc.oneof(fc.constant(0), fc.nat(6), fc.nat(2_000)),
  put: fc.oneof(fc.constantFrom(...CHUNKS), fc.string({ maxLength: 8, unit: 'binary' })),
});

/** Two texts that are like what the kernel or a tool prints. */
export const mutatedPair: fc.Arbitrary<readonly [string, string]> = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(edit, { maxLength: 5 }),
    fc.array(edit, { maxLength: 2 }),
  )
  .map(([text, first, second]) => {
    const before = first.reduce(applied, text);
    return [before, second.reduce(applied, before)];
  });

function applied(
  text: string,
  { at, drop, put }: { at: number; drop: number; put: string },
): string {
  const from = Math.floor(at * text.length);
  return text.slice(0, from) + put + text.slice(from + drop);
}

/** Every file of this /proc has the same text; a few of them, or a walk over it had no end but its limit. */
function procOf(text: string): ProcFiles {
  let left = 40;
  const read = (): string | null => {
    left -= 1;
    return left < 0 ? null : text;
  };
  return { pageBytes: 4_096, read, list: () => ['7', '8'] };
}

/** Reads the pair in every way; throws where a reader does, or where what it makes cannot be sent. */
export function measureEverything([before, after]: readonly [string, string]): void {
  const disks = new Set(['vda', 'loop0']);
  const rates = ratesBetween(
    readCounters(procOf(before), disks, 0),
    readCounters(procOf(after), disks, 1_000),
  );
  const lines = new SmiLines();
  const gpus = after.split('\n').flatMap((line) => {
    const read = lines.read(line);
    if (read?.kind === 'note' && read.text.length > 200) throw new Error('a note without bound');
    return read?.kind === 'reading' ? [{ ...read.reading, foreign: null }] : [];
  });
  const amd = readReadings(after);
  if (amd.kind === 'read') gpus.push(...amd.readings.map((gpu) => ({ ...gpu, foreign: null })));
  for (const gpu of gpus) {
    GpuSample.parse(gpu);
    if (JSON.stringify(gpu).length > 1_200) throw new Error('a GPU without bound');
  }
  const own = readOwn(procOf(after), 7, null);
  const use = readTree(procOf(after), { pid: 7, startTime: startOf(after), isHelper: false });
  const { busyCores, ...known } = rates;
  const host = HostSample.parse({
    timeMs: 1,
    spanMs: 1_000,
    attempts: 1,
    ...known,
    otherCores: busyCores,
    ...readLevels(procOf(after)),
    agentCores: own.cpuMs / 1_000,
    agentRssBytes: own.rssBytes,
    gpus,
    gpuReason: null,
  });
  const summary = new AttemptSummary(1_000);
  const amounts = { rssBytes: use?.rssBytes ?? null, privateBytes: use?.privateBytes ?? null };
  const sample = { timeMs: 1, spanMs: 1_000, elapsedMs: 1_000, cores: (use?.cpuMs ?? 0) / 1_000 };
  summary.add({
    own: { ...sample, ...amounts, readBps: null, writeBps: null, processes: use?.pids.size ?? 0 },
    host,
    neighbourCores: 0,
    isCut: use?.isCut ?? false,
  });
  const result = AttemptTelemetry.parse(summary.result(0));
  if (JSON.stringify(result).length > 40_000) throw new Error('a summary without bound');
}

function startOf(text: string): number {
  const start = text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return /^\d{1,20}$/.test(start) ? Number(start) : 0;
}
