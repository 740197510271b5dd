/** A file of an attempt: of its work folder while the run is live, else of the run's directory. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { ReadReply } from '#protocol/messages/agent/agent-api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { attemptName, type AttemptRef } from '#protocol/messages/ids.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { askAgent } from './ask-agent.ts';

/** More is no file to look at. */
const MOST_BYTES = 1024 ** 3;

export interface WantedFile {
  readonly ref: AttemptRef;
  readonly path: string;
}

/**
 * From its agent, as it is now. Rejects with `not_found`, `agent_unreachable` where it is silent, and
 * `busy` where another file took its place in the middle: the pieces of two are no file.
 */
export async function* liveFile(
  connection: MeshConnection,
  agent: string,
  { ref, path }: WantedFile,
): AsyncGenerator<Uint8Array> {
  let first: string | undefined;
  for (let offset = 0; ;) {
    const body = { ...ref, path, offset };
    const reply = ReadReply.parse(await askAgent(connection, { agent, verb: 'read', body }));
    if (reply.bytes > MOST_BYTES)
      throw new MeshError('usage', `${path} has ${reply.bytes} bytes, more than ${MOST_BYTES}`);
    first ??= reply.file;
    if (reply.file !== first || reply.bytes < offset)
      throw new MeshError('busy', `${path} was replaced while it was read: ask again`);
    const data = Buffer.from(reply.data, 'base64');
    if (data.length === 0) return;
    yield data;
    offset += data.length;
    if (offset >= MOST_BYTES) return;
  }
}

/** What was kept of it. Rejects with `not_found`. */
export async function* keptFile(
  directory: string,
  { ref, path }: WantedFile,
): AsyncGenerator<Uint8Array> {
  const clean = normalize(path);
  const isInside = !clean.startsWith('/') && clean !== '..' && !clean.startsWith('../');
  for (const folder of isInside ? ['files', 'checkpoints'] : []) {
    const file = join(directory, folder, ref.task, attemptName(ref), clean);
    if (!(await isFile(file))) continue;
    for await (const chunk of createReadStream(file)) yield chunk as Buffer;
    return;
  }
  const where = nameOf(ref);
  throw new MeshError('not_found', `${path} was not kept of ${where}: it is not among its files`);
}

/** `attempt 1 of RUN/TASK`, `rank 2 of attempt 1 of RUN/TASK`. */
export function nameOf({ run, task, n, rank }: AttemptRef): string {
  return `${rank === undefined ? '' : `rank ${rank} of `}attempt ${n} of ${run}/${task}`;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
