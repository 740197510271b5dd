/** The interface of a vendor's tool, and what became of running it, in words. */
import type { HelperEnd, HelperResult } from '../process/helpers/run-helper.ts';
import type { VendorGpus } from './gpu-facts.ts';

/** Runs `argv` with the limits of discovery. Never rejects. */
export type RunTool = (argv: readonly [string, ...string[]]) => Promise<HelperResult>;

/** Asks one vendor's tool. Remembers between calls what the tool does not know; never rejects. */
export interface VendorTool {
  readonly tool: 'nvidia-smi' | 'rocm-smi';
  /** `busIds`: GPUs of the vendor that are or were on the bus, to be asked for one by one in need. */
  look(busIds: readonly string[]): Promise<VendorGpus>;
}

/** Null for an exit status of 0. */
export function failureOf(tool: string, { end, stdout, stderr }: HelperResult): string | null {
  if (end.kind === 'exited') {
    if (end.code === 0) return null;
    const said = firstLines(stderr.trim() === '' ? stdout : stderr);
    return `${tool} ended with status ${end.code}${said === '' ? '' : `: ${said}`}`;
  }
  return `${tool} ${endText(end)}`;
}

function endText(end: Exclude<HelperEnd, { kind: 'exited' }>): string {
  switch (end.kind) {
    case 'signaled':
      return `was killed by ${end.signal}`;
    case 'timed_out':
      return `hangs: no end after ${end.afterMs / 1_000} s`;
    case 'too_much_output':
      return `printed more than ${Math.floor(end.maxBytes / 1_024)} KiB`;
    case 'not_found':
      return 'is not installed';
    case 'not_started':
      return `cannot be run: ${end.reason}`;
  }
}

function firstLines(text: string): string {
  const clean = text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return clean.length <= 240 ? clean : `${clean.slice(0, 239)}…`;
}
