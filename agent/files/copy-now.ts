/**
 * Copies of files that a benchmark may be writing to. What is stored under a hash must not change while
 * it is stored, so it is copied first: what the file holds now, to the size it has now. One that only
 * grows gives its beginning; one that is written anew in the middle of it is read again.
 */
import { statfs } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { makeFolder } from '#protocol/runtime/make-folder.ts';
import { chunksOf, writeObject, type LocalObject } from './local-objects.ts';
import { openInside } from './open-inside.ts';

const TRIES = 3;
/** Of what is free, a copy may take this much: the benchmark and the agent need room too. */
const SHARE_OF_FREE = 0.5;

export type Copy =
  | ({ readonly kind: 'copied' } & LocalObject)
  | { readonly kind: 'refused'; readonly reason: string };

/** Copies `relative` of `work` into `dir`. Rejects with system errors. */
export async function copyNow(dir: string, work: string, relative: string): Promise<Copy> {
  await makeFolder(dir);
  for (let tries = 1; ; tries += 1) {
    const opened = await openInside(work, relative);
    if (opened.kind === 'refused') return opened;
    const { file, stat } = opened;
    try {
      const { bavail, bsize } = await statfs(dir);
      if (stat.size > bavail * bsize * SHARE_OF_FREE)
        return { kind: 'refused', reason: 'there is no room on the host for a copy of it' };
      const object = await writeObject(dir, upTo(file, stat.size));
      const after = await file.stat();
      const isSame = after.mtimeMs === stat.mtimeMs && after.size === stat.size;
      if (object.bytes === stat.size && (isSame || after.size > stat.size))
        return { kind: 'copied', ...object };
      if (tries === TRIES)
        return { kind: 'refused', reason: 'is written anew all the time: ask again' };
    } finally {
      await file.close();
    }
  }
}

async function* upTo(file: FileHandle, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  for await (const chunk of chunksOf(file)) {
    const piece = chunk.subarray(0, left);
    left -= piece.length;
    if (piece.length > 0) yield piece;
    if (left === 0) return;
  }
}
