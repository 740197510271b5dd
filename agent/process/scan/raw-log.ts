/**
 * The output of a step on the scan rung: one file, `raw`, filled by a `cat` that outlives the
 * agent. Offsets in it are the combined offsets. Both streams share it, so all of it counts
 * as stdout, its arrival is when it was read, and no space comes back before the step's end;
 * at the spool's limit the `cat` ends, and a `wc` counts what comes after it into `raw.dropped`.
 */
import { closeSync, fstatSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { openPlain, readPlain, readPlainFile } from '../plain-file.ts';
import type { LogRead } from '../spool/log-segments.ts';

export const RAW_LOG = 'raw';
export const RAW_DROPPED = 'raw.dropped';

/** Null where the step has no such file. */
export function readRaw(stepDir: string, offset: number, maxBytes: number): LogRead | null {
  const fd = openPlain(join(stepDir, RAW_LOG));
  if (fd === null) return null;
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(maxBytes, size - offset)));
    const length = readPlain(fd, bytes, { position: offset });
    if (length > 0) {
      const chunk = { offset, stream: 'stdout', arrivalMs: Date.now() } as const;
      const chunks = [{ ...chunk, bytes: bytes.subarray(0, length) }];
      return { offset, nextOffset: offset + length, chunks, gaps: [] };
    }
    const missing = Math.max(0, size + rawDropped(stepDir) - offset);
    const gap = { offset, length: missing, reason: 'limit', arrivalMs: null } as const;
    return { offset, nextOffset: offset + missing, chunks: [], gaps: missing > 0 ? [gap] : [] };
  } finally {
    closeSync(fd);
  }
}

/** What was counted as dropped: known only once the output has ended. */
export function rawDropped(stepDir: string): number {
  try {
    const text = readPlainFile(join(stepDir, RAW_DROPPED), 64)?.toString('latin1') ?? '';
    const count = Number(text);
    return Number.isSafeInteger(count) && count > 0 ? count : 0;
  } catch {
    return 0;
  }
}

export function rawSize(stepDir: string): number {
  try {
    return lstatSync(join(stepDir, RAW_LOG)).size;
  } catch {
    return 0;
  }
}
