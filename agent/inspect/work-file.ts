/** Reads of a work folder for whoever looks inside an attempt. */
import { MeshError } from '#protocol/messages/errors.ts';
import type { ReadReply, ReadRequest } from '#protocol/messages/agent/agent-api.ts';
import { openInside } from '../files/open-inside.ts';
import { attemptPaths } from '../state/state-folder.ts';

/** With base64 well below what a message may hold. */
const PIECE_BYTES = 256 * 1024;

/** Rejects with `not_found`: no such file, no regular file, or none of the work folder. */
export async function readWorkFile(stateDir: string, request: ReadRequest): Promise<ReadReply> {
  const opened = await openInside(attemptPaths(stateDir, request).work, request.path);
  if (opened.kind === 'refused')
    throw new MeshError('not_found', `${request.path}: ${opened.reason}`);
  const { file, stat } = opened;
  try {
    const buffer = Buffer.allocUnsafe(PIECE_BYTES);
    const { bytesRead } = await file.read(buffer, 0, PIECE_BYTES, request.offset);
    return { bytes: stat.size, data: buffer.subarray(0, bytesRead).toString('base64') };
  } finally {
    await file.close();
  }
}
