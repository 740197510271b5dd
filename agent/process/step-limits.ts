/**
 * From a step's limits to how they are enforced here. Pure. A limit that cannot be is refused with the
 * reason: a step never runs without one that was asked for.
 */
import type { StepLimits } from './types.ts';

/** Controllers that limits stand on. */
export const CONTROLLERS = ['pids', 'memory'] as const;

/** What this host can enforce. */
export interface LimitPowers {
  /** Controllers that the steps' cgroups have. */
  readonly controllers: readonly string[];
  /** Why it is not all of them; null if it is. */
  readonly missing: string | null;
  readonly uid: number;
}

export type LimitFlags =
  | { readonly kind: 'flags'; readonly flags: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string };

export function limitFlags(limits: StepLimits, powers: LimitPowers): LimitFlags {
  const { pids = null, memoryBytes = null } = limits;
  const wrong = [pids, memoryBytes].find(
    (limit) => limit !== null && !(Number.isSafeInteger(limit) && limit > 0),
  );
  if (wrong !== undefined) return refused(`a limit of ${wrong} is none`);
  const has = (controller: string): boolean => powers.controllers.includes(controller);
  const why = powers.missing ?? 'its cgroup controller is not there';
  const flags: string[] = [];
  if (memoryBytes !== null) {
    if (!has('memory')) return refused(`a limit of memory cannot be enforced here: ${why}`);
    flags.push(`--limit=memory.max=${memoryBytes}`);
  }
  if (pids !== null) {
    if (has('pids')) flags.push(`--limit=pids.max=${pids}`);
    else if (powers.uid !== 0) flags.push(`--most-processes=${pids}`);
    else {
      return refused(
        `a limit of processes cannot be enforced here: ${why}, and RLIMIT_NPROC does not bind root`,
      );
    }
  }
  for (const [name, limit] of Object.entries(limits.each ?? {})) {
    if (limit !== 'unlimited' && !(Number.isSafeInteger(limit) && limit >= 0))
      return refused(`${name}: a limit of ${limit} is none`);
    flags.push(`--rlimit=${name}=${limit}`);
  }
  return { kind: 'flags', flags };
}

function refused(reason: string): LimitFlags {
  return { kind: 'refused', reason };
}
