/** The index format of the spool, as meshrun writes it; see meshrun/spool.h. */

export const ENTRY_BYTES = 32;
export const KIND_STDOUT = 1;
export const KIND_STDERR = 2;
export const KIND_GAP = 3;
/** Reason of a gap at the spool's limit; any other is the disk's refusal. */
export const GAP_LIMIT = 1;

export interface IndexEntry {
  /** Combined offset of the first byte. */
  readonly offset: number;
  readonly length: number;
  readonly arrivalMs: number;
  readonly kind: number;
  readonly reason: number;
  readonly errno: number;
}

/** The entry at `at`, or null where there is none: torn, zeros of a lost page, or beyond all numbers. */
export function readEntry(from: Buffer, at: number): IndexEntry | null {
  if (at + ENTRY_BYTES > from.length) return null;
  const kind = from.readUInt8(at + 24);
  if (kind < KIND_STDOUT || kind > KIND_GAP) return null;
  const offset = readNumber(from, at);
  const length = readNumber(from, at + 8);
  if (!Number.isSafeInteger(offset + length)) return null;
  return {
    offset,
    length,
    arrivalMs: readNumber(from, at + 16),
    kind,
    reason: from.readUInt8(at + 25),
    errno: from.readUInt32LE(at + 28),
  };
}

/** 64 bits, little-endian; not exact beyond 2^53. Without a BigInt, which costs many times as much. */
function readNumber(from: Buffer, at: number): number {
  return from.readUInt32LE(at + 4) * 2 ** 32 + from.readUInt32LE(at);
}

/** `log.000012`, as spool.c names it. */
export function segmentName(what: 'log' | 'index', number: number): string {
  return `${what}.${String(number).padStart(6, '0')}`;
}

/** The numbers of the segments among a folder's file names, in order. */
export function segmentNumbers(names: readonly string[]): number[] {
  return names
    .flatMap((name) => /^index\.(\d{6,})$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}
