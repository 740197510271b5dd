/** What a looping nvidia-smi prints: the header and rows of the fields telemetry asks for. */
import { SAMPLE_CORE, SAMPLE_FIELDS } from '#agent/telemetry/smi-lines.ts';

const UNITS: Readonly<Record<string, string>> = {
  'utilization.gpu': ' [%]',
  'utilization.memory': ' [%]',
  'memory.used': ' [MiB]',
  'power.draw': ' [W]',
  'clocks.sm': ' [MHz]',
  'clocks.mem': ' [MHz]',
};

export function smiTable(fields: readonly string[] = [...SAMPLE_CORE, ...SAMPLE_FIELDS]): string {
  return fields.map((field) => `${field}${UNITS[field] ?? ''}`).join(', ');
}

export interface SmiRow {
  readonly index?: number;
  readonly uuid?: string;
  readonly reasons?: string;
  readonly power?: string;
}

export function smiRow({
  index = 0,
  uuid = 'GPU-1',
  reasons = '0x0000000000000000',
  power = '120.50',
}: SmiRow): string {
  return [index, uuid, reasons, reasons, 98, 41, 38120, power, 74, 2385, 9001].join(', ');
}
