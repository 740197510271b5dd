/** What is not to be handed out: tasks that were withdrawn, retries before their wait is over or without what they need. */
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import type { Message } from '#protocol/messages/envelope.ts';

interface Of {
  readonly note: (text: string) => void;
  /** Whether the attempt was ever handed out, by key. */
  readonly isStarted: (key: string) => boolean;
}

export class HeldChecks {
  readonly #of: Of;
  /** Stream time before which it may not start, by key. */
  readonly #notBefore = new Map<string, number>();
  /** By `run/task`. */
  readonly #withdrawn = new Set<string>();
  /** What tasks need since they were tried again with more. */
  readonly #raised = new Map<string, Needs>();

  constructor(of: Of) {
    this.#of = of;
  }

  onStart(key: string, timeMs: number, { needs }: Pick<AttemptSpec, 'needs'>): void {
    const fromMs = this.#notBefore.get(key);
    if (fromMs !== undefined && timeMs < fromMs)
      this.#of.note(`${key} is tried again ${fromMs - timeMs} ms before its wait is over`);
    const raised = this.#raised.get(taskOf(key));
    if (raised !== undefined && canonicalJson(raised) !== canonicalJson(needs))
      this.#of.note(`${key} is to need ${canonicalJson(raised)}, not ${canonicalJson(needs)}`);
    if (this.#withdrawn.has(taskOf(key)))
      this.#of.note(`I4: ${key} starts although its task was withdrawn`);
  }

  onRetry(key: string, waitsUntilMs: number, needs?: Needs): void {
    this.#notBefore.set(key, waitsUntilMs);
    if (needs !== undefined) this.#raised.set(taskOf(key), needs);
  }

  /** Before it is folded. */
  onWithdrawn(fold: RunFold, { name, data }: Message): void {
    if (name !== 'run.tasks_withdrawn') return;
    for (const id of data.tasks) {
      const key = `${fold.run}/${id}`;
      if (this.#of.isStarted(`${key}#1`)) this.#of.note(`I4: ${key} has begun, and is withdrawn`);
      // Said twice by two leaders, it is gone already.
      const task = fold.tasks.get(id);
      if (task === undefined ? !this.#withdrawn.has(key) : task.repeat === 1)
        this.#of.note(`I4: ${key} is withdrawn, and is no task of a later cycle`);
      this.#withdrawn.add(key);
    }
  }
}

function taskOf(key: string): string {
  return key.slice(0, key.lastIndexOf('#'));
}
