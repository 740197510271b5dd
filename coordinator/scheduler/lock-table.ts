/**
 * Counting locks of the whole mesh, by name. Of live runs that say how many there are the smallest number
 * counts. An attempt holds what it needs from the moment it is handed out until its end. Pure.
 */
import type { Needs } from '#protocol/messages/attempt/needs.ts';

export interface Lock {
  held: number;
  /** By run. */
  readonly capacities: Map<string, number>;
}

export type LockTable = Map<string, Lock>;
type Locks = NonNullable<Needs['locks']>;

function lockOf(table: LockTable, name: string): Lock {
  const known = table.get(name);
  if (known !== undefined) return known;
  const fresh: Lock = { held: 0, capacities: new Map() };
  table.set(name, fresh);
  return fresh;
}

export function addCapacities(table: LockTable, run: string, locks: Locks): void {
  for (const [name, capacity] of Object.entries(locks))
    lockOf(table, name).capacities.set(run, capacity);
}

/** True if others may have use for more of a lock now. */
export function dropCapacities(table: LockTable, run: string): boolean {
  let isFreed = false;
  for (const [name, lock] of table) {
    if (!lock.capacities.delete(run)) continue;
    isFreed = true;
    if (lock.capacities.size === 0 && lock.held === 0) table.delete(name);
  }
  return isFreed;
}

export function hold(table: LockTable, locks: Locks, sign: 1 | -1): void {
  for (const [name, count] of Object.entries(locks)) {
    const lock = lockOf(table, name);
    lock.held += sign * count;
    if (lock.held === 0 && lock.capacities.size === 0) table.delete(name);
  }
}

/** How many there are, and the run that says so. */
export function capacityOfLock(
  table: LockTable,
  name: string,
): { readonly capacity: number; readonly by: string | null } {
  let least: { capacity: number; by: string | null } = { capacity: Infinity, by: null };
  for (const [run, capacity] of table.get(name)?.capacities ?? [])
    if (capacity < least.capacity) least = { capacity, by: run };
  return least;
}

export function freeOf(table: LockTable, name: string): number {
  return capacityOfLock(table, name).capacity - (table.get(name)?.held ?? 0);
}

/** The first of the locks that others hold too much of now; null where there is none. */
export function lackedLock(table: LockTable, locks: Locks): string | null {
  const lacked = Object.entries(locks).find(([name, count]) => freeOf(table, name) < count);
  return lacked?.[0] ?? null;
}
