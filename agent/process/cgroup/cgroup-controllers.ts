/**
 * Which controllers the steps' cgroups get, and where the agent has to be for that.
 *
 * A cgroup gives controllers to those below it only while no process is in it (but for the root of the
 * hierarchy). So where they are delegated and not given on yet, the agent first moves into its own leaf.
 * It does not do so from the cgroup of a systemd unit: systemd puts the next start of the unit there,
 * which the kernel then refuses; `DelegateSubgroup=` (systemd 254) is made for that.
 * The root of the hierarchy belongs to the machine: what it gives on is used and left as it is.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupHome } from './cgroup-home.ts';
import { readText, tryWrite } from './cgroup-tree.ts';
import type { Log } from '../log.ts';

export interface Controllers {
  /** What a step's cgroup has of what was wanted. */
  readonly given: readonly string[];
  /** Why it is not all; null if it is. */
  readonly missing: string | null;
  /** What the home was made to give on, with the agent in its leaf for that; null if neither. */
  readonly taken: { readonly home: string; readonly names: readonly string[] } | null;
}

interface Place {
  readonly home: CgroupHome;
  readonly base: string;
  readonly leaf: string;
  readonly wanted: readonly string[];
}

/** Never throws. */
export function takeControllers(place: Place): Controllers {
  const { home, base, wanted } = place;
  const offered = controllersOf(home.dir).filter((name) => wanted.includes(name));
  const given = controllersOf(base).filter((name) => wanted.includes(name));
  const open = offered.filter((name) => !given.includes(name));
  const asked = open.length === 0 ? { missing: null, taken: null } : askHome(place, open);
  const all = controllersOf(base).filter((name) => wanted.includes(name));
  const isGiven = all.length === 0 || give(base, all);
  const mine = isGiven ? all : [];
  const lacking = wanted.filter((name) => !mine.includes(name));
  return {
    given: mine,
    missing:
      lacking.length === 0
        ? null
        : (asked.missing ??
          `${home.dir} does not have the cgroup controller ${lacking.join(', ')}`),
    taken: asked.taken,
  };
}

/** The agent goes back to where it came from, so that its leaf can be removed. For when no step is left. */
export function returnControllers(base: string, { given, taken }: Controllers, log: Log): void {
  if (taken === null) return;
  const { home, names } = taken;
  const isLeft = give(base, given, '-') && give(home, names, '-') && moveTo(home);
  if (!isLeft) log('warn', 'the agent cannot leave its cgroup', { to: home });
}

function askHome(
  { home, leaf }: Place,
  open: readonly string[],
): Pick<Controllers, 'missing' | 'taken'> {
  const names = open.join(', ');
  if (!existsSync(join(home.dir, 'cgroup.type'))) {
    return { missing: `the root cgroup does not give on ${names}`, taken: null };
  }
  const isInside = home.ownDir === home.dir;
  if (isInside && home.unit !== null) {
    const missing = `${home.unit} gives on ${names} only with DelegateSubgroup= (systemd 254)`;
    return { missing, taken: null };
  }
  if (isInside && !moveTo(leaf)) {
    return { missing: `the agent cannot move to ${leaf}`, taken: null };
  }
  if (give(home.dir, open)) {
    return { missing: null, taken: isInside ? { home: home.dir, names: open } : null };
  }
  // Back to where it was: nothing else has changed, so that cannot be refused.
  if (isInside) moveTo(home.dir);
  const missing = `${home.dir} cannot give on ${names}: other processes are in it`;
  return { missing, taken: null };
}

function give(dir: string, names: readonly string[], sign: '+' | '-' = '+'): boolean {
  const words = names.map((name) => sign + name).join(' ');
  return tryWrite(join(dir, 'cgroup.subtree_control'), words);
}

function moveTo(dir: string): boolean {
  return tryWrite(join(dir, 'cgroup.procs'), String(process.pid));
}

function controllersOf(dir: string): string[] {
  return (readText(join(dir, 'cgroup.controllers')) ?? '')
    .split(/\s+/)
    .filter((name) => name !== '');
}
