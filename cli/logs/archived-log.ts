/** The log of one attempt from a run's directory: `logs/<task>/<n>.log` and its `.index`. */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { attemptName, type AttemptRef } from '#protocol/messages/ids.ts';
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

/** Rows are small and many: the file is read in blocks, rows are cut out of them. */
const BLOCK_BYTES = 1_024 * 1_024;

class BlockReader {
  readonly #file: FileHandle;
  #block = Buffer.alloc(0);
  #start = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Some bytes from `position`, at most `most`; empty at the end of the file. */
  async read(position: number, most: number): Promise<Uint8Array> {
    const end = this.#start + this.#block.length;
    if (position < this.#start || position >= end) {
      const block = Buffer.allocUnsafe(BLOCK_BYTES);
      const { bytesRead } = await this.#file.read(block, 0, BLOCK_BYTES, position);
      this.#block = block.subarray(0, bytesRead);
      this.#start = position;
    }
    const from = position - this.#start;
    return this.#block.subarray(from, from + most);
  }
}

/** What the cursor has not seen yet. An attempt without output has no file. */
export async function* archivedLog(
  directory: string,
  ref: AttemptRef,
  cursors: LogCursors,
): AsyncGenerator<LogItem> {
  const path = join(directory, 'logs', ref.task, attemptName(ref));
  if (!(await isThere(`${path}.log`))) return;
  const file = await open(`${path}.log`);
  const blocks = new BlockReader(file);
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
        const data = await blocks.read(position + done, length - done);
        if (data.length === 0) return;
        yield* cursors.advance(ref, offset + done, { stream, data, arrivalMs });
        done += data.length;
      }
      position += length;
    }
  } finally {
    await file.close();
  }
}
