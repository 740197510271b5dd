/**
 * One cgroup v2 on disk: who is in it, ending them, removing it. For what no meshrun does any more.
 *
 * A cgroup that is not there any more was empty: the kernel removes no other. Its name is never given
 * twice (it carries a pid and a start time), so a path that is gone stays gone.
 */
import { readdirSync, readFileSync, rmdirSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '#protocol/messages/errors.ts';
import { isStepCgroup } from './cgroup-home.ts';

/** `unknown`: it cannot be read, or is no cgroup. */
export type CgroupState = 'empty' | 'populated' | 'unknown';

export interface EndedCgroup {
  readonly isEmpty: boolean;
  /** Distinct processes that were seen in it. */
  readonly processes: number;
  readonly waves: number;
  readonly survivors: readonly number[];
  /** How many the kernel had killed for want of memory; null where it does not tell. */
  readonly oomKills: number | null;
}

const CGROUP2_MAGIC = 0x63677270;
const PATIENCE_WAVES = 60;
const SLOWEST_WAVE_MS = 100;
const KILL_ROUNDS = 24;
const REMOVE_TRIES = 20;
const DEEPEST = 16;
const SURVIVORS_NAMED = 64;

export function stateOf(dir: string): CgroupState {
  const text = readText(join(dir, 'cgroup.events'));
  if (text === null) return isRemoved(dir) ? 'empty' : 'unknown';
  const [, populated] = /^populated ([01])$/m.exec(text) ?? [];
  if (populated === undefined) return 'unknown';
  return populated === '0' ? 'empty' : 'populated';
}

/** Who is in it, and in the cgroups below it; never this process. */
export function pidsOf(dir: string): number[] {
  return [...new Set(pidsBelow(dir, 0))];
}

/** Null without a memory controller. */
export function oomKillsOf(dir: string): number | null {
  const [, kills] = /^oom_kill (\d+)$/m.exec(readText(join(dir, 'memory.events')) ?? '') ?? [];
  return kills === undefined ? null : Number(kills);
}

/**
 * Kills all that are in it until nobody is, or patience ends, and removes it. Never rejects. What is no
 * step's cgroup is not looked at: nothing is killed, and nothing is proven.
 */
export async function endCgroup(dir: string): Promise<EndedCgroup> {
  if (!isStepCgroup(dir)) {
    return { isEmpty: false, processes: 0, waves: 0, survivors: [], oomKills: null };
  }
  const seen = new Set<number>();
  const oomKills = oomKillsOf(dir);
  let waves = 0;
  let state = stateOf(dir);
  for (; state === 'populated' && waves < PATIENCE_WAVES; state = stateOf(dir)) {
    for (const pid of pidsOf(dir)) seen.add(pid);
    killAll(dir);
    await sleep(Math.min(SLOWEST_WAVE_MS, 2 + waves * 4));
    waves += 1;
  }
  const isEmpty = state === 'empty';
  if (isEmpty) await removeCgroup(dir);
  const survivors = isEmpty ? [] : pidsOf(dir).slice(0, SURVIVORS_NAMED);
  return { isEmpty, processes: seen.size, waves, survivors, oomKills };
}

/** Removes it with what is empty below it; false while somebody is in it. Never rejects. */
export async function removeCgroup(dir: string): Promise<boolean> {
  for (let tries = 0; tries < REMOVE_TRIES; tries += 1) {
    if (tryRemove(dir)) return true;
    if (stateOf(dir) !== 'empty') return false;
    await sleep(tries); // the last of its dead may be on their way out
  }
  return false;
}

/** The same, once. */
export function tryRemove(dir: string, depth = 0): boolean {
  for (const name of namesBelow(dir, depth)) tryRemove(join(dir, name), depth + 1);
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
}

/** `cgroup.kill`; before Linux 5.14 frozen, so that none can fork on, and one by one. */
function killAll(dir: string): void {
  if (tryWrite(join(dir, 'cgroup.kill'), '1')) return;
  tryWrite(join(dir, 'cgroup.freeze'), '1');
  const killed = new Set<number>();
  for (let round = 0; round < KILL_ROUNDS; round += 1) {
    const fresh = pidsOf(dir).filter((pid) => !killed.has(pid));
    if (fresh.length === 0) return;
    for (const pid of fresh) {
      killed.add(pid);
      kill(pid);
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already, or not ours to kill: the cgroup's state tells.
  }
}

function pidsBelow(dir: string, depth: number): number[] {
  const own = (readText(join(dir, 'cgroup.procs')) ?? '')
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid);
  return [
    ...own,
    ...namesBelow(dir, depth).flatMap((name) => pidsBelow(join(dir, name), depth + 1)),
  ];
}

function namesBelow(dir: string, depth: number): string[] {
  if (depth >= DEEPEST) return [];
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return []; // removed in between
  }
}

/** Only where the place it was in can be seen: another mount would show nothing either. */
function isRemoved(dir: string): boolean {
  for (let at = dir; at !== dirname(at); at = dirname(at)) {
    try {
      return statfsSync(at).type === CGROUP2_MAGIC && at !== dir;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') return false;
    }
  }
  return false;
}

export function tryWrite(path: string, text: string): boolean {
  try {
    // Never made: a cgroup has the files the kernel gave it.
    writeFileSync(path, text, { flag: 'r+' });
    return true;
  } catch {
    return false;
  }
}

export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
