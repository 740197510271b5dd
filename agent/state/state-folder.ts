/**
 * The state folder of an agent: who it is, and where everything of its attempts lies.
 *
 *   <state>/agent.json      id, instance (the identity of this folder), incarnation (starts so far)
 *   <state>/lock.<n>        held by the agent process that lives
 *   <state>/journal/        ledger.<n> (this agent's), outbox (protocol/nats)
 *   <state>/attempts/<run>/<task>.<n>/              where the attempt works
 *   <state>/attempts/<run>/<task>.<n>.step.<step>/  what supervision keeps of a step
 *   <state>/attempts/<run>/<task>.<n>.{report, peers, stop.<step>, checkpoint/, collect/}
 *     two folders an attempt, since making one is the dearest call of a short attempt
 *   <state>/attempts/<run>/{host-setup-<id>, scratch-<slot>}   of the run on this host
 *   <state>/exec/                                   commands for somebody that run (agent/exec)
 *   <state>/agent.log
 *
 * Only the holder of the lock writes here; it is free again as soon as its holder is dead.
 */
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { errnoOf, MeshError, toError } from '#protocol/messages/errors.ts';
import { newId, type AttemptRef } from '#protocol/messages/ids.ts';
import { tryLock, type FolderLock } from '#protocol/runtime/folder-lock.ts';
import { makeFolder } from '#protocol/runtime/make-folder.ts';

const Identity = z.object({
  id: z.string(),
  instance: z.string(),
  incarnation: z.number().int().positive(),
});
export type Identity = z.infer<typeof Identity>;

export interface StateFolder {
  readonly dir: string;
  readonly identity: Identity;
  readonly lock: FolderLock;
}

/**
 * Takes the folder for this process and counts its incarnation up. Rejects with MeshError
 * `state_unwritable`, `disk_full`, `agent_locked` (naming the pid) or `config_invalid` (the folder
 * is another agent's).
 */
export async function openStateFolder(path: string, id: string): Promise<StateFolder> {
  const dir = resolve(path);
  try {
    await makeFolder(join(dir, 'journal'));
    await makeFolder(join(dir, 'attempts'));
    const attempt = await tryLock(dir, 'lock');
    if (attempt.kind === 'busy') {
      throw new MeshError(
        'agent_locked',
        `the state folder ${dir} is held by another agent process, pid ${attempt.owner.pid}`,
      );
    }
    try {
      return { dir, identity: await nextIncarnation(dir, id), lock: attempt.lock };
    } catch (error) {
      await attempt.lock.release();
      throw error;
    }
  } catch (error) {
    if (error instanceof MeshError) throw error;
    const code = errnoOf(error) === 'ENOSPC' ? 'disk_full' : 'state_unwritable';
    throw new MeshError(
      code,
      `the state folder ${dir} cannot be used: ${toError(error).message}`,
      error,
    );
  }
}

async function nextIncarnation(dir: string, id: string): Promise<Identity> {
  const file = join(dir, 'agent.json');
  const known = await readIdentity(file);
  if (known !== null && known.id !== id) {
    throw new MeshError(
      'config_invalid',
      `the state folder ${dir} belongs to agent ${known.id}; give ${id} a folder of its own with --state`,
    );
  }
  const identity = {
    id,
    instance: known?.instance ?? newId(),
    incarnation: (known?.incarnation ?? 0) + 1,
  };
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(identity)}\n`, { flush: true });
  await rename(temporary, file);
  await syncFolder(dir);
  return identity;
}

/** So that a power cut takes no new name back: under another instance the mesh refuses this agent. */
async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Not every file system syncs folders.
    if (errnoOf(error) !== 'EINVAL') throw error;
  } finally {
    await folder.close();
  }
}

async function readIdentity(file: string): Promise<Identity | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
  const parsed = Identity.safeParse(safeJson(text));
  if (parsed.success) return parsed.data;
  throw new MeshError(
    'state_unwritable',
    `${file} is damaged: remove it if this agent is to begin anew`,
  );
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Paths of one attempt. */
export interface AttemptPaths {
  /** Where it works. */
  readonly work: string;
  readonly report: string;
  /** Where the latest checkpoint of the task's earlier attempt is put. */
  readonly checkpoint: string;
  /** Of a rank of a gang: where the others are. */
  readonly peers: string;
}

export function runDir(stateDir: string, run: string): string {
  return join(stateDir, 'attempts', run);
}

/** Where a host is prepared for the attempts of a run; no attempt's name, those have a dot. */
export function hostSetupDir(stateDir: string, run: string, id: string): string {
  return `${stateDir}/attempts/${run}/host-setup-${id}`;
}

/** Of a slot, for one run; no attempt's name either. */
export function scratchDir(stateDir: string, run: string, slot: number): string {
  return `${stateDir}/attempts/${run}/scratch-${slot}`;
}

export function attemptPaths(stateDir: string, ref: AttemptRef): AttemptPaths {
  const work = `${stateDir}/attempts/${ref.run}/${ref.task}.${ref.n}`;
  return {
    work,
    report: `${work}.report`,
    checkpoint: `${work}.checkpoint`,
    peers: `${work}.peers`,
  };
}

/** What the supervisor keeps of a step: record, log, index. */
export function stepDir(work: string, step: string): string {
  return `${work}.step.${step}`;
}

/** Of the step, not of the attempt: a teardown must not find the stop of the run step. */
export function stopFile(work: string, step: string): string {
  return `${work}.stop.${step}`;
}
