/**
 * What a looping `nvidia-smi --query-gpu=... --format=csv,nounits` prints, line by line: a header, then a
 * row for each GPU and round. Pure; never throws. The header may come again, lines that are neither are
 * notes.
 */
import type { ClockReason } from '#protocol/messages/agent/telemetry.ts';
import { short } from '../discovery/nvidia-gpus.ts';
import { amountOf, countOf, parseTable, textOf, type Row } from '../discovery/smi-table.ts';
import { clockReasonsOf } from './clock-reasons.ts';
import type { GpuReading } from './gpu-feed.ts';

/** Without these a row cannot be told from another GPU's. */
export const SAMPLE_CORE = ['index', 'uuid'] as const;
/** Any of them may be refused by some driver; clock reasons have an older name beside the newer. */
export const SAMPLE_FIELDS = [
  'clocks_event_reasons.active',
  'clocks_throttle_reasons.active',
  'utilization.gpu',
  'utilization.memory',
  'memory.used',
  'power.draw',
  'temperature.gpu',
  'clocks.sm',
  'clocks.mem',
] as const;

export type SmiLine =
  | { readonly kind: 'reading'; readonly reading: GpuReading }
  | { readonly kind: 'header' }
  | { readonly kind: 'note'; readonly text: string };

export class SmiLines {
  #header: string | null = null;

  read(line: string): SmiLine | null {
    if (line.trim() === '') return null;
    const own = parseTable(line, { key: 'uuid', free: 'uuid' });
    if (own.columns.length > 0) {
      this.#header = line;
      return { kind: 'header' };
    }
    if (this.#header === null) return { kind: 'note', text: short(line) };
    const { rows } = parseTable(`${this.#header}\n${line}`, { key: 'uuid', free: '' });
    const [row] = rows;
    const reading = row === undefined ? null : readingOf(row);
    return reading === null ? { kind: 'note', text: short(line) } : { kind: 'reading', reading };
  }
}

/** Null for a row without an identity. */
function readingOf(row: Row): GpuReading | null {
  const uuid = textOf(row('uuid'));
  if (uuid === null) return null;
  const amount = (column: string): number | null => amountOf(row(column));
  return {
    index: countOf(row('index')),
    id: short(uuid),
    utilisationPercent: amount('utilization.gpu'),
    memoryUtilisationPercent: amount('utilization.memory'),
    memoryUsedMiB: amount('memory.used'),
    powerW: amount('power.draw'),
    temperatureC: amount('temperature.gpu'),
    smMHz: amount('clocks.sm'),
    memoryMHz: amount('clocks.mem'),
    clockReasons:
      clockReasonsOf(textOf(row('clocks_event_reasons.active'))) ??
      clockReasonsOf(textOf(row('clocks_throttle_reasons.active'))),
  };
}

/** Two readings of a GPU in one sample: the later values, the clock reasons of both. */
export function joinReadings(before: GpuReading | undefined, after: GpuReading): GpuReading {
  const reasons = new Set<ClockReason>([
    ...(before?.clockReasons ?? []),
    ...(after.clockReasons ?? []),
  ]);
  const isKnown = after.clockReasons !== null || (before?.clockReasons ?? null) !== null;
  return { ...after, clockReasons: isKnown ? [...reasons] : null };
}
