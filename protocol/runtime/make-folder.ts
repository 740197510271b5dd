/**
 * Makes a folder and those above it. Node's own recursive `mkdir` goes on for ever, at full CPU, where
 * a file system answers ENOENT below a folder that is there (/proc does).
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { errnoOf } from '../messages/errors.ts';

/** Resolves also where it was there. Rejects with the system error of the folder that cannot be made. */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  const missing: string[] = [];
  let at = resolve(path);
  while (!(await isThereOrMade(at, mode))) {
    missing.push(at);
    at = dirname(at);
  }
  for (const folder of missing.reverse()) {
    if (await isThereOrMade(folder, mode)) continue;
    throw new Error(`ENOENT: no folder can be made in ${dirname(folder)}, mkdir '${folder}'`);
  }
}

/** False where the folder above is missing. */
async function isThereOrMade(folder: string, mode: number): Promise<boolean> {
  try {
    await mkdir(folder, { mode });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && dirname(folder) !== folder) return false;
    // EEXIST, and what read-only and automounted places answer of a folder that is there.
    const isFolder = await stat(folder).then(
      (about) => about.isDirectory(),
      () => false,
    );
    if (isFolder) return true;
    throw error;
  }
}
