/**
 * The place of an agent in the cgroup v2 tree: what its steps' cgroups are made in.
 *
 *   <home>/                          what was delegated, or the top of the mount (cgroup-home.ts)
 *     benchmesh.<owner>/             the base: no process, only cgroups
 *       agent.<pid>.<start>/         says that this agent lives; it is in it where controllers need that
 *       step.<pid>.<start>/          one step's, made and removed by the meshrun with that pid
 *
 * 1. Names say whose a cgroup is. A step's whose meshrun is dead is an orphan: ended when its agent
 *    returns. What dead agents of other state folders left is removed where it is empty, never killed.
 * 2. Nothing stays: a step's cgroup goes with the step, the base with the agent, unless steps go on.
 * 3. What the rung promises is tried, with a process that is killed, before it is promised.
 */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, toError } from '#protocol/messages/errors.ts';
import { BASE_PREFIX, delegationProblem, parseOwner, type CgroupHome } from './cgroup-home.ts';
import { returnControllers, takeControllers, type Controllers } from './cgroup-controllers.ts';
import { endCgroup, readText, removeCgroup, stateOf, tryRemove } from './cgroup-tree.ts';
import { errnoName } from '../record/errno.ts';
import type { Log } from '../log.ts';
import { readProcess } from '../scan/proc-table.ts';
import { runHelper } from '../helpers/run-helper.ts';

export interface CgroupRootOptions {
  readonly home: CgroupHome;
  /** Of the state folder: an agent that returns finds the base again. */
  readonly owner: string;
  readonly meshrun: string;
  /** To be had for the steps' cgroups, if they are delegated. */
  readonly controllers: readonly string[];
  readonly log: Log;
}

export type OpenedRoot =
  | { readonly kind: 'root'; readonly root: CgroupRoot }
  | { readonly kind: 'none'; readonly reason: string };

const HELPER = { timeoutMs: 5_000, maxBytes: 4_096 };
/** Meshrun's names and paths are bounded, and so is a line of its record. */
const LONGEST_BASE = 400;
const TRIES = 3;

export class CgroupRoot {
  readonly base: string;
  readonly controllers: Controllers;
  readonly #leaf: string;
  readonly #log: Log;

  private constructor(at: { base: string; leaf: string; controllers: Controllers; log: Log }) {
    this.base = at.base;
    this.controllers = at.controllers;
    this.#leaf = at.leaf;
    this.#log = at.log;
  }

  /** Never rejects. */
  static async open(options: CgroupRootOptions): Promise<OpenedRoot> {
    const { home, meshrun, log } = options;
    try {
      const problem = delegationProblem(home, await ownershipOf(home, meshrun));
      if (problem !== null) return { kind: 'none', reason: problem };
      const { base, leaf } = makeBase(home, options.owner);
      await sweepBase(base, log);
      await sweepStale(home.dir, base);
      const controllers = takeControllers({ home, base, leaf, wanted: options.controllers });
      const root = new CgroupRoot({ base, leaf, controllers, log });
      const failed = await trial(base, meshrun);
      if (failed === null) return { kind: 'root', root };
      root.close();
      return { kind: 'none', reason: failed };
    } catch (error) {
      return { kind: 'none', reason: reasonOf(home, error) };
    }
  }

  /** For when its spawner has ended. All of it stays while a step goes on. */
  close(): void {
    if (ownersIn(this.base).some(({ kind }) => kind === 'step')) return;
    returnControllers(this.base, this.controllers, this.#log);
    if (tryRemoveOne(this.#leaf)) tryRemoveOne(this.base);
  }
}

async function ownershipOf(
  { dir, unit }: CgroupHome,
  meshrun: string,
): Promise<Parameters<typeof delegationProblem>[1]> {
  const isMarked =
    unit !== null && (await exitOf([meshrun, `--cgroup-delegated=${dir}`])).code === 0;
  return {
    uid: process.getuid?.() ?? 0,
    owner: statSync(dir).uid,
    ownerAbove: statSync(dirname(dir)).uid,
    isMarked,
  };
}

function makeBase({ dir }: CgroupHome, owner: string): { base: string; leaf: string } {
  const base = join(dir, BASE_PREFIX + owner.replace(/[^A-Za-z0-9_-]/g, '_'));
  if (base.length > LONGEST_BASE) throw new Error(`the path ${base} is too long`);
  const startTime = readProcess(process.pid)?.startTime ?? 0;
  const leaf = join(base, `agent.${process.pid}.${startTime}`);
  for (let tries = 1; ; tries += 1) {
    try {
      makeOne(base);
      makeOne(leaf);
      return { base, leaf };
    } catch (error) {
      // Another agent that starts took it for one that was left.
      if (errnoOf(error) !== 'ENOENT' || tries === TRIES) throw error;
    }
  }
}

function makeOne(dir: string): void {
  try {
    mkdirSync(dir);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

/** Only the folder itself: what is below it is others'. */
function tryRemoveOne(dir: string): boolean {
  return tryRemove(dir, Number.POSITIVE_INFINITY);
}

/** Ends the orphans an earlier agent of this owner left, and removes its traces. */
async function sweepBase(base: string, log: Log): Promise<void> {
  for (const { name, kind, isAlive } of ownersIn(base)) {
    if (isAlive) continue;
    const dir = join(base, name);
    if (kind === 'agent') {
      // Meshruns of steps that go on may be in it.
      await removeCgroup(dir);
      continue;
    }
    const wasPopulated = stateOf(dir) === 'populated';
    const { isEmpty, processes, survivors } = await endCgroup(dir);
    if (wasPopulated || !isEmpty) {
      log('warn', 'a step without its meshrun was ended', { cgroup: dir, processes, survivors });
    }
  }
}

/** Removes what agents of other state folders left when they were killed, as far as it is empty. */
async function sweepStale(home: string, own: string): Promise<void> {
  for (const name of foldersIn(home)) {
    const base = join(home, name);
    if (!name.startsWith(BASE_PREFIX) || base === own) continue;
    const owners = ownersIn(base);
    if (owners.some(({ kind, isAlive }) => kind === 'agent' && isAlive)) continue;
    for (const { name: child } of owners) await removeCgroup(join(base, child));
    tryRemoveOne(base);
  }
}

function ownersIn(base: string): { name: string; kind: 'agent' | 'step'; isAlive: boolean }[] {
  return foldersIn(base).flatMap((name) => {
    const owner = parseOwner(name);
    if (owner === null) return [];
    const isAlive = readProcess(owner.pid)?.startTime === owner.startTime;
    return [{ name, kind: owner.kind, isAlive }];
  });
}

function foldersIn(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Null if a process can be started in a cgroup of the base, killed by it, and the cgroup removed. */
async function trial(base: string, meshrun: string): Promise<string | null> {
  const { code, stdout } = await exitOf([meshrun, `--cgroup-trial=${base}`]);
  if (code === 0) return null;
  const [, what, errno] = /^(\w+) (\d+)$/m.exec(stdout) ?? [];
  if (what === undefined) return `a trial in cgroup ${base} did not end well`;
  return `a step's cgroup in ${base} does not work: ${what}: ${errnoName(Number(errno))}`;
}

async function exitOf(
  argv: readonly [string, ...string[]],
): Promise<{ code: number | null; stdout: string }> {
  const { end, stdout } = await runHelper(argv, HELPER);
  return { code: end.kind === 'exited' ? end.code : null, stdout };
}

function reasonOf({ dir }: CgroupHome, error: unknown): string {
  switch (errnoOf(error)) {
    case 'EROFS':
      return `cgroup v2 is mounted read-only at ${dir}`;
    case 'EACCES':
    case 'EPERM':
      return `cgroup ${dir} is not delegated to this user`;
    default:
      return `cgroups cannot be made in ${dir}: ${toError(error).message}`;
  }
}

export function readCgroupTexts(): { mountinfo: string; own: string } {
  return {
    mountinfo: readText('/proc/self/mountinfo') ?? '',
    own: readText('/proc/self/cgroup') ?? '',
  };
}
