/**
 * Log messages carry raw bytes; what describes them is in headers.
 *
 * One log per attempt: all its steps, both streams, in arrival order, with one byte offset (I7).
 * `chunks` splits the payload: `<o|e>:<bytes>:<arrival ms, wall clock>` joined by commas. A gap
 * record has an empty payload and says which range was dropped at the spool limit.
 */
import type { AttemptRef } from '../ids.ts';

export const LOG_HEADERS = {
  offset: 'bm-offset',
  step: 'bm-step',
  chunks: 'bm-chunks',
  gapTo: 'bm-gap-to',
  instance: 'bm-instance',
  /**
   * Where steps run beside each other: how far each step's own output is in the log, this message
   * included, `<step>:<bytes>` joined by commas. Only the agent reads it, to go on after a restart.
   */
  positions: 'bm-positions',
  /** Of a gang: which rank has written it, by its name (ids.ts). */
  rank: 'bm-rank',
} as const;

export type LogStream = 'stdout' | 'stderr';

export interface LogChunk {
  readonly stream: LogStream;
  readonly bytes: number;
  readonly arrivalMs: number;
}

export function formatChunks(chunks: readonly LogChunk[]): string {
  return chunks
    .map(
      (chunk) =>
        `${chunk.stream === 'stdout' ? 'o' : 'e'}:${chunk.bytes}:${Math.round(chunk.arrivalMs)}`,
    )
    .join(',');
}

/** Whose log the message is of: the attempt's, or that of a rank of it. */
export function logRef(
  ref: AttemptRef,
  message: { header(name: string): string | null },
): AttemptRef {
  const rank = message.header(LOG_HEADERS.rank);
  const [, own, since] = /^(\d{1,6})(?:e(\d{1,6}))?$/.exec(rank ?? '') ?? [];
  if (own === undefined) return ref;
  return { ...ref, rank: Number(own), ...(since === undefined ? {} : { since: Number(since) }) };
}

/** Null when the header is malformed. */
export function parseChunks(header: string): LogChunk[] | null {
  if (header === '') return [];
  const chunks: LogChunk[] = [];
  for (const part of header.split(',')) {
    const match = /^([oe]):(\d+):(\d+)$/.exec(part);
    if (match === null) return null;
    chunks.push({
      stream: match[1] === 'o' ? 'stdout' : 'stderr',
      bytes: Number(match[2]),
      arrivalMs: Number(match[3]),
    });
  }
  return chunks;
}
