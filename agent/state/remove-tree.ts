/** Removes a folder whatever its modes: benchmarks leave read-only ones (module caches, `chmod -w`). */
import { chmod, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#protocol/messages/errors.ts';

/** Rejects with what stands in the way after one try to make every folder writable. */
export async function removeTree(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    await makeWritable(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Folders only, links not followed. */
async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(folder, entry.name));
  }
}
