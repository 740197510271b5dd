/**
 * Locks of the mesh: never more of one is held than there are, by attempts that were handed out, and by what
 * these have left alive on hosts that are heard.
 */
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { attemptOf } from './gang-checks.ts';
import type { Start } from './seen.ts';

interface Of {
  readonly note: (text: string) => void;
  readonly starts: ReadonlyMap<string, Start>;
}

export class LockChecks {
  readonly #of: Of;
  /** The smallest number that any run has said of a lock. */
  readonly #capacities = new Map<string, number>();
  /** Started, and not exited or with survivors; of all runs. */
  readonly #open = new Set<string>();
  /** Of these, those with survivors. */
  readonly #ended = new Set<string>();

  constructor(of: Of) {
    this.#of = of;
  }

  onSubmitted({ locks = {} }: SuiteSpec): void {
    for (const [name, count] of Object.entries(locks))
      this.#capacities.set(name, Math.min(count, this.#capacities.get(name) ?? Infinity));
  }

  /** It has ended with nothing left, or its task goes on without it. */
  onFreed(key: string): void {
    this.#open.delete(key);
    this.#ended.delete(key);
  }

  /** It has ended, and something of it lives. */
  onSurvived(key: string): void {
    if (this.#open.has(key)) this.#ended.add(key);
  }

  /** What survives there may never be heard of. */
  onLost(agent: string): void {
    for (const key of this.#ended) if (this.#of.starts.get(key)?.agent === agent) this.onFreed(key);
  }

  onRunEnded(run: string): void {
    for (const key of this.#open) if (key.startsWith(`${run}/`)) this.onFreed(key);
  }

  onStart(key: string): void {
    const { locks } = this.#of.starts.get(key)?.spec.needs ?? {};
    if (locks === undefined) return;
    this.#open.add(key);
    for (const name of Object.keys(locks)) {
      // A gang holds it once.
      const holders = new Map([...this.#open].map((other) => [attemptOf(other), other]));
      const held = [...holders.values()].reduce((sum, one) => sum + this.#heldBy(one, name), 0);
      const most = this.#capacities.get(name) ?? Infinity;
      if (held > most)
        this.#of.note(`${key} starts: ${held} of the lock ${name} are held, there are ${most}`);
    }
  }

  #heldBy(key: string, lock: string): number {
    return this.#of.starts.get(key)?.spec.needs.locks?.[lock] ?? 0;
  }
}
