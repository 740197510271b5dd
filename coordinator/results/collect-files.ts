/**
 * Files that attempts stored in BM_FILES, written to the run's directory: chunk by chunk, checked
 * against their hash. A file that is not there whole is reported, not written.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import { attemptName } from '#protocol/messages/ids.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { pause } from '#protocol/nats/connection.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { lastMessage } from '#protocol/nats/streams/stream-read.ts';

export interface AttemptFile {
  readonly run: string;
  readonly task: string;
  readonly n: number;
  readonly agent: string;
  /** Of a gang. */
  readonly rank?: number | undefined;
  readonly since?: number | undefined;
  readonly file: StoredFile;
}

export interface MissingFile {
  readonly task: string;
  readonly n: number;
  readonly rank?: number | undefined;
  readonly since?: number | undefined;
  readonly path: string;
  readonly reason: string;
}

const RETRY_MS = 200;

/** Resolves with null, or why the file could not be had. Rejects on a disk error, or when aborted. */
export async function collectFile(
  connection: MeshConnection,
  directory: string,
  stored: AttemptFile,
  signal: AbortSignal,
): Promise<MissingFile | null> {
  const { run, task, n, rank, since, agent, file } = stored;
  const object = { run, sha256: file.sha256 };
  const failed = (reason: string): MissingFile => ({
    ...{
      task,
      n,
      ...(rank === undefined ? {} : { rank }),
      ...(since === undefined ? {} : { since }),
    },
    ...{ path: file.path, reason },
  });
  const path = pathIn(join(directory, folderOf(file), task, attemptName(stored)), file.path);
  if (path === null) return failed('its path leads out of the folder');
  await mkdir(dirname(path), { recursive: true });
  const target = await open(path, 'w');
  const hash = createHash('sha256');
  let problem: string | null = null;
  try {
    for (let chunk = 0; chunk < file.chunks && problem === null; chunk += 1) {
      const data = await chunkOf(connection, subjects.file(agent, object, chunk), signal);
      if (data === null) problem = `chunk ${chunk} of ${file.chunks} is not stored`;
      else {
        hash.update(data);
        await target.writeFile(data);
      }
    }
    if (problem === null && hash.digest('hex') !== file.sha256)
      problem = 'its content does not match its hash';
    if (problem === null) await target.sync();
  } finally {
    await target.close();
  }
  if (problem === null) return null;
  await rm(path, { force: true });
  return failed(problem);
}

function folderOf(file: StoredFile): string {
  return file.kind === 'checkpoint' ? 'checkpoints' : 'files';
}

async function chunkOf(
  connection: MeshConnection,
  subject: string,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  for (;;) {
    if (signal.aborted) throw new Error('not leading any more');
    const found = await lastMessage(connection, STREAMS.files, subject);
    if (found.kind === 'found') return found.message.data;
    if (found.kind === 'none') return null;
    await pause(RETRY_MS, signal);
  }
}

/** The path below `folder`, or null where it would leave it. */
export function pathIn(folder: string, relative: string): string | null {
  const clean = normalize(relative);
  if (relative === '' || relative.includes('\0') || isAbsolute(clean)) return null;
  if (clean === '.' || clean === '..' || clean.startsWith('../') || clean.endsWith('/'))
    return null;
  return join(folder, clean);
}
