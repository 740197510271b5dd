/**
 * Files that are on the disk when the call resolves, and the one rename that makes a directory
 * appear whole or not at all: after a crash there is the old state or the new one, nothing between.
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, toError } from '#protocol/messages/errors.ts';

/** Writes a file whole and syncs it; makes its folder. */
export async function writeDurable(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Runs `work` over items, at most `width` at a time. The first failure ends it, when what had begun
 * has settled: nothing of it goes on afterwards.
 */
export async function eachOf<T>(
  items: Iterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      if (failures.length > 0) return;
      try {
        await work(next.value);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  if (failures.length > 0) throw toError(failures[0]);
}

/** Syncs a folder and every folder below: the names in them are then on the disk. */
export async function syncFolders(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory());
  await eachOf(folders, 4, (entry) => syncFolders(join(folder, entry.name)));
  await syncFolder(folder);
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some systems refuse to sync a folder; there is nothing else to do then.
    if (errnoOf(error) !== 'EINVAL' && errnoOf(error) !== 'EPERM') throw error;
  } finally {
    await handle.close();
  }
}

/**
 * Gives a finished folder its name. A directory that is there already stays as it is: it is
 * immutable, and the same run makes the same content.
 */
export async function publishFolder(partial: string, directory: string): Promise<void> {
  await syncFolders(partial);
  try {
    await rename(partial, directory);
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    await rm(partial, { recursive: true, force: true });
  }
  await syncFolder(dirname(directory));
}
