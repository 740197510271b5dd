/** The log of one attempt from a run's directory: `logs/<task>/<n>.log` and its `.index`. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { isThere, linesOf } from '../runs/archive.ts';
import type { LogCursors, LogItem } from './log-cursor.ts';

const Row = z.union([
  z.object({
    offset: z.number(),
    length: z.number(),
    stream: z.enum(['stdout', 'stderr']),
    arrivalMs: z.number(),
  }),
  z.object({ offset: z.number(), gapTo: z.number() }),
]);

const PIECE_BYTES = 256 * 1_024;

/** What the cursor has not seen yet. An attempt without output has no file. */
export async function* archivedLog(
  directory: string,
  ref: AttemptRef,
  cursors: LogCursors,
): AsyncGenerator<LogItem> {
  const path = join(directory, 'logs', ref.task, String(ref.n));
  if (!(await isThere(`${path}.log`))) return;
  const file = await open(`${path}.log`);
  // The file holds what there is: after a gap its positions are behind the offsets.
  let position = 0;
  try {
    for await (const line of linesOf(`${path}.index`)) {
      const row = Row.parse(JSON.parse(line));
      if ('gapTo' in row) {
        if (row.gapTo > cursors.next(ref)) yield cursors.gap(ref, row.gapTo);
        continue;
      }
      const { offset, length, stream, arrivalMs } = row;
      for (let done = 0; done < length;) {
        const want = Math.min(PIECE_BYTES, length - done);
        const data = Buffer.allocUnsafe(want);
        const { bytesRead } = await file.read(data, 0, want, position + done);
        if (bytesRead === 0) return;
        const piece = data.subarray(0, bytesRead);
        yield* cursors.advance(ref, offset + done, { stream, data: piece, arrivalMs });
        done += bytesRead;
      }
      position += length;
    }
  } finally {
    await file.close();
  }
}
