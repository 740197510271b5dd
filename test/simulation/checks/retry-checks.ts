/**
 * A task is tried again only after its attempt has ended or was given up, one number after the other, and no
 * more often than its suite allows. What was given back is never counted.
 */
import { LOST_MOST } from '#coordinator/runs/lost-policy.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import type { MessageData } from '#protocol/messages/catalog.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import type { GangChecks } from './gang-checks.ts';
import type { GivenBackChecks } from './given-back-checks.ts';

/** Tried again however often. */
const GIVEN_BACK: ReadonlySet<string> = new Set(['drained', 'paused']);

interface RetryDeps {
  readonly note: (text: string) => void;
  readonly revoked: ReadonlyMap<string, string>;
  readonly givenBack: GivenBackChecks;
  readonly gangs: GangChecks;
}

interface OfRun {
  readonly fold: Pick<RunFold, 'run'>;
  readonly suite: Pick<SuiteSpec, 'retries'>;
  readonly exits: ReadonlyMap<string, string>;
}

export class RetryChecks {
  readonly #deps: RetryDeps;
  /** How often, by `run/task` and class of failure. */
  readonly #used = new Map<string, Map<string, number>>();
  /** The last attempt that was tried again, by `run/task`, and the id of the word for it. */
  readonly #last = new Map<string, { readonly n: number; readonly id: string }>();

  constructor(deps: RetryDeps) {
    this.#deps = deps;
  }

  /** Answers the keys of what the task goes on without. */
  onRetry(run: OfRun, task: string, data: MessageData<'task.retrying'>, id: string): string[] {
    const { note, revoked, givenBack, gangs } = this.#deps;
    const of = `${run.fold.run}/${task}`;
    const key = `${of}#${data.n}`;
    const before = this.#last.get(of);
    givenBack.onRetry(key, data);
    // Stored twice in doubt: it is known by its id.
    if (before?.id === id) return [];
    if (data.n !== (before?.n ?? 0) + 1) note(`I4: ${key} is tried again after #${before?.n ?? 0}`);
    this.#last.set(of, { n: data.n, id });
    const exit = gangs.exitOf(key, run.exits);
    const { avoid = '' } = data;
    const given = gangs.keysOf(key).filter((one) => revoked.has(one));
    const isRevoked = given.length > 0 && data.class === 'lost';
    if (data.superseded === true && revoked.get(gangs.keyOf(key, avoid)) !== avoid)
      note(`I4: ${key} is superseded, and ${avoid} was not told`);
    if (!isRevoked && exit === undefined) note(`I4: ${key} is tried again, and has not exited`);
    if (exit?.startsWith('passed') === true && !isRevoked)
      note(`${key} passed, and is tried again`);
    if (GIVEN_BACK.has(data.class)) return given;
    if (exit?.startsWith('stopped') === true && !isRevoked)
      note(`${key} was stopped, and counts as a failure`);
    this.#count(run, task, { why: data.class, most: isRevoked ? LOST_MOST : 0 });
    return given;
  }

  /** A rank of it was. */
  onReplaced(run: OfRun, task: string): void {
    this.#count(run, task, { why: 'lost', most: LOST_MOST });
  }

  /** By class of failure. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const used of this.#used.values())
      for (const [why, count] of used) counts[why] = (counts[why] ?? 0) + count;
    return counts;
  }

  /** `most` where the suite names none. */
  #count(run: OfRun, task: string, { why, most }: { why: string; most: number }): void {
    const of = `${run.fold.run}/${task}`;
    const used = this.#used.get(of) ?? new Map<string, number>();
    const count = (used.get(why) ?? 0) + 1;
    this.#used.set(of, used.set(why, count));
    const allowed = (run.suite.retries as Record<string, number | undefined>)[why] ?? most;
    if (count > allowed)
      this.#deps.note(`${task} is tried again ${count} times for ${why}, ${allowed} are allowed`);
  }
}
