/**
 * A lock between processes on one folder, held by a live process and free as soon as it is dead.
 * Node has no flock, so it is made of files whose names are generations: `<name>.<generation>`.
 *
 * 1. Only `link` makes a generation, complete with its owner: two processes never make the same.
 * 2. The newest generation is the lock: held while its owner lives and it is not marked released.
 * 3. A dead or released one is never removed or renamed by who wants the lock, only overtaken by
 *    the next generation; so nobody can break a lock that has just been taken.
 * 4. Only generations below the newest are removed; who made one below the newest has lost.
 */
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoOf } from '../messages/errors.ts';
import { makeFolder } from './make-folder.ts';
import { identityOf, isAlive, type ProcessIdentity } from './process-identity.ts';

export type LockAttempt =
  | { readonly kind: 'held'; readonly lock: FolderLock }
  | { readonly kind: 'busy'; readonly owner: ProcessIdentity };

export interface FolderLock {
  /** Frees the lock. Idempotent. */
  release(): Promise<void>;
}

const Owner = z.object({ pid: z.number(), startTime: z.string(), released: z.boolean() });
type Owner = z.infer<typeof Owner>;

let serial = 0;

/** Tries once to take the lock `name` in `dir` (made if missing). Rejects with system errors. */
export async function tryLock(dir: string, name: string): Promise<LockAttempt> {
  await makeFolder(dir);
  const self = identityOf(process.pid);
  if (self === null) throw new Error('cannot read the identity of this process');
  for (;;) {
    const newest = (await generations(dir, name)).at(-1) ?? 0;
    const owner = newest === 0 ? null : await readOwner(fileOf(dir, name, newest));
    if (owner !== null && !owner.released && isAlive(owner)) {
      return { kind: 'busy', owner: { pid: owner.pid, startTime: owner.startTime } };
    }
    const mine = newest + 1;
    if (!(await make(dir, name, { generation: mine, owner: { ...self, released: false } })))
      continue;
    const all = await generations(dir, name);
    if (all.at(-1) !== mine) {
      await rm(fileOf(dir, name, mine), { force: true });
      continue;
    }
    await Promise.all(all.slice(0, -1).map((old) => rm(fileOf(dir, name, old), { force: true })));
    return {
      kind: 'held',
      lock: lockOf(dir, name, { generation: mine, owner: { ...self, released: true } }),
    };
  }
}

interface Generation {
  readonly generation: number;
  readonly owner: Owner;
}

function lockOf(dir: string, name: string, release: Generation): FolderLock {
  let held = true;
  return {
    release: async () => {
      if (!held) return;
      held = false;
      const temporary = await writeTemporary(dir, name, release.owner);
      await rename(temporary, fileOf(dir, name, release.generation));
    },
  };
}

/** False when the generation exists already. */
async function make(
  dir: string,
  name: string,
  { generation, owner }: Generation,
): Promise<boolean> {
  const temporary = await writeTemporary(dir, name, owner);
  try {
    await link(temporary, fileOf(dir, name, generation));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeTemporary(dir: string, name: string, owner: Owner): Promise<string> {
  serial += 1;
  const file = join(dir, `.${name}-${process.pid}-${serial}.tmp`);
  await writeFile(file, JSON.stringify(owner), { mode: 0o600 });
  return file;
}

async function generations(dir: string, name: string): Promise<number[]> {
  const prefix = `${name}.`;
  return (await readdir(dir))
    .filter((file) => file.startsWith(prefix) && /^\d+$/.test(file.slice(prefix.length)))
    .map((file) => Number(file.slice(prefix.length)))
    .sort((a, b) => a - b);
}

async function readOwner(file: string): Promise<Owner | null> {
  try {
    const parsed = Owner.safeParse(JSON.parse(await readFile(file, 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

function fileOf(dir: string, name: string, generation: number): string {
  return join(dir, `${name}.${generation}`);
}
