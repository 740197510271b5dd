/**
 * Cuts what was read from the segments into messages of the log: one stretch of bytes, or one gap,
 * in the order of their offsets (I7). Pure.
 */
import { formatChunks, LOG_HEADERS, type LogChunk } from '#protocol/messages/attempt/log.ts';
import type { LogRead } from '../process/spool/log-segments.ts';

/** Chunk descriptions travel in a header: few enough to keep it small. */
export const CHUNKS_MOST = 1_000;

export interface LogBatch {
  /** In the attempt's log, over all its steps. */
  readonly offset: number;
  readonly endOffset: number;
  readonly payload: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes that were dropped and are not in the payload. */
  readonly isGap: boolean;
  /** The disk refused them, rather than the suite's limit. */
  readonly isRefused: boolean;
}

export interface BatchSource {
  readonly step: string;
  /** Where the step's output begins in the attempt's log. */
  readonly baseOffset: number;
  readonly instance: string;
  /** Of a gang. */
  readonly rank?: string | undefined;
  /** How far each step is before this message; null where steps follow one another. */
  readonly positions?: ReadonlyMap<string, number> | null;
}

/** The first message of what was read, or null if nothing was. */
export function firstBatch(read: LogRead, source: BatchSource): LogBatch | null {
  const gap = read.gaps[0];
  const first = read.chunks[0];
  if (gap !== undefined && (first === undefined || gap.offset < first.offset)) {
    const from = source.baseOffset + gap.offset;
    return batch(source, {
      offset: from,
      endOffset: from + gap.length,
      chunks: [],
      payload: new Uint8Array(),
      isRefused: gap.reason === 'write-failed',
    });
  }
  if (first === undefined) return null;
  const until = gap?.offset ?? Number.POSITIVE_INFINITY;
  const parts: Uint8Array[] = [];
  const chunks: LogChunk[] = [];
  let bytes = 0;
  for (const chunk of read.chunks) {
    if (chunk.offset >= until || chunks.length >= CHUNKS_MOST) break;
    parts.push(chunk.bytes);
    bytes += chunk.bytes.length;
    chunks.push({ stream: chunk.stream, bytes: chunk.bytes.length, arrivalMs: chunk.arrivalMs });
  }
  const offset = source.baseOffset + first.offset;
  return batch(source, {
    offset,
    endOffset: offset + bytes,
    chunks,
    payload: Buffer.concat(parts, bytes),
    isRefused: false,
  });
}

interface Content {
  readonly offset: number;
  readonly endOffset: number;
  readonly chunks: readonly LogChunk[];
  readonly payload: Uint8Array;
  readonly isRefused: boolean;
}

function batch(source: BatchSource, content: Content): LogBatch {
  const { offset, endOffset, chunks, payload, isRefused } = content;
  const isGap = chunks.length === 0;
  return {
    offset,
    endOffset,
    payload,
    isGap,
    isRefused,
    headers: {
      [LOG_HEADERS.offset]: String(offset),
      [LOG_HEADERS.step]: source.step,
      [LOG_HEADERS.chunks]: formatChunks(chunks),
      [LOG_HEADERS.instance]: source.instance,
      ...(source.rank === undefined ? {} : { [LOG_HEADERS.rank]: source.rank }),
      ...(isGap ? { [LOG_HEADERS.gapTo]: String(endOffset) } : {}),
      ...positionsHeader(source, endOffset - source.baseOffset),
    },
  };
}

function positionsHeader(
  { positions = null, step }: BatchSource,
  end: number,
): Record<string, string> {
  if (positions === null) return {};
  const all = new Map(positions).set(step, end);
  const text = Array.from(all, ([name, bytes]) => `${name}:${bytes}`).join(',');
  return { [LOG_HEADERS.positions]: text };
}

/** The header of a message back to positions; empty where it has none. */
export function parsePositions(header: string | null): ReadonlyMap<string, number> {
  const parts = header === null || header === '' ? [] : header.split(',');
  return new Map(
    parts.map((part) => {
      const [step = '', bytes] = part.split(':');
      return [step, Number(bytes)];
    }),
  );
}
