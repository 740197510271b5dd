/**
 * Reads of a work folder for whoever looks inside an attempt. Nothing outside the folder is ever read:
 * not by the path, and not by a link in it, also one that is put there in the middle of the read: what
 * was opened is asked where it lies.
 */
import { constants } from 'node:fs';
import { open, readlink, realpath, type FileHandle } from 'node:fs/promises';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import type { ReadReply, ReadRequest } from '#protocol/messages/agent-api.ts';
import { pathWithin } from '../files/work-path.ts';
import { attemptPaths } from '../state/state-folder.ts';

/** With base64 well below what a message may hold. */
const PIECE_BYTES = 256 * 1024;

/** Rejects with `not_found`: no such file, no regular file, or none of the work folder. */
export async function readWorkFile(stateDir: string, request: ReadRequest): Promise<ReadReply> {
  const { work } = attemptPaths(stateDir, request);
  const path = pathWithin(work, request.path);
  const refused = (reason: string): MeshError =>
    new MeshError('not_found', `${request.path}: ${reason}`);
  if (path === null) throw refused('leads out of the work folder');
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw refused(toError(error).message);
  }
  try {
    const opened = await readlink(`/proc/self/fd/${file.fd}`);
    if (!opened.startsWith(`${await realpath(work)}/`))
      throw refused('leads out of the work folder');
    const stat = await file.stat();
    if (!stat.isFile()) throw refused('no regular file');
    const buffer = Buffer.allocUnsafe(PIECE_BYTES);
    const { bytesRead } = await file.read(buffer, 0, PIECE_BYTES, request.offset);
    return { bytes: stat.size, data: buffer.subarray(0, bytesRead).toString('base64') };
  } finally {
    await file.close();
  }
}
