/**
 * Copies of an attempt's checkpoint files beside its work folder, by hash: what is being stored cannot
 * change meanwhile, and the task's next attempt on this host needs no network.
 *
 *   <attempt>.checkpoint/<sha256>       whole, made by rename
 *   <attempt>.checkpoint/<id>.part      being written
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#protocol/messages/errors.ts';
import { newId } from '#protocol/messages/ids.ts';
import { markOf, type SeenFile } from './checkpoint-policy.ts';

const READ_BYTES = 256 * 1024;

export interface LocalObject {
  readonly sha256: string;
  readonly bytes: number;
  readonly file: string;
}

/** Writes what `chunks` gives as one object. Rejects with what they or the disk reject with. */
export async function writeObject(
  dir: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<LocalObject> {
  await mkdir(dir, { recursive: true });
  const part = join(dir, `${newId()}.part`);
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    const target = await open(part, 'wx');
    try {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bytes += chunk.length;
        await target.writeFile(chunk);
      }
    } finally {
      await target.close();
    }
    const sha256 = hash.digest('hex');
    const file = join(dir, sha256);
    await rename(part, file);
    return { sha256, bytes, file };
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** The file as it was seen; null when it is not that any more, before or after it was read. */
export async function copySeen(
  dir: string,
  path: string,
  seen: SeenFile,
): Promise<LocalObject | null> {
  const source = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if ((await seenNow(source, seen.path)) !== markOf(seen)) return null;
    const object = await writeObject(dir, chunksOf(source));
    return (await seenNow(source, seen.path)) === markOf(seen) ? object : null;
  } finally {
    await source.close();
  }
}

async function seenNow(source: FileHandle, path: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await source.stat({ bigint: true });
  return markOf({ path, inode: ino, bytes: Number(size), modifiedNs: mtimeNs, changedNs: ctimeNs });
}

export async function* chunksOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let at = 0; ;) {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/** The object's file if it is there and is what its name says; null otherwise. */
export async function findObject(dir: string, sha256: string): Promise<string | null> {
  const path = join(dir, sha256);
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    const hash = createHash('sha256');
    for await (const chunk of chunksOf(file)) hash.update(chunk);
    return hash.digest('hex') === sha256 ? path : null;
  } finally {
    await file.close();
  }
}

/** Removes everything but these objects, half ones included. */
export async function keepOnly(dir: string, objects: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(dir)) {
    if (!objects.has(name)) await rm(join(dir, name), { force: true });
  }
}
