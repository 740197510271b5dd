/**
 * Files of a work folder, opened for reading. Nothing outside the folder is ever read: not by the path,
 * and not by a link in it, also one that is put there in the middle: what was opened is asked where it
 * lies. Never waits for a FIFO.
 */
import { constants, type Stats } from 'node:fs';
import { open, readlink, realpath, type FileHandle } from 'node:fs/promises';
import { toError } from '#protocol/messages/errors.ts';
import { pathWithin } from './work-path.ts';

export type Opened =
  | { readonly kind: 'opened'; readonly file: FileHandle; readonly stat: Stats }
  | { readonly kind: 'refused'; readonly reason: string };

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Who gets a file closes it. Rejects with system errors after it was opened. */
export async function openInside(work: string, relative: string): Promise<Opened> {
  const path = pathWithin(work, relative);
  if (path === null) return { kind: 'refused', reason: 'leads out of the work folder' };
  let file: FileHandle;
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    return { kind: 'refused', reason: toError(error).message };
  }
  try {
    const opened = await readlink(`/proc/self/fd/${file.fd}`);
    const stat = await file.stat();
    const isInside = opened.startsWith(`${await realpath(work)}/`);
    if (isInside && stat.isFile()) return { kind: 'opened', file, stat };
    await file.close();
    const reason = isInside ? 'no regular file' : 'leads out of the work folder';
    return { kind: 'refused', reason };
  } catch (error) {
    await file.close();
    throw error;
  }
}
