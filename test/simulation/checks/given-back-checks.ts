/** What is given back never began, counts for nothing, and alone allows the next attempt. */
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { MessageData } from '#protocol/messages/catalog.ts';

interface Of {
  readonly note: (text: string) => void;
  /** Superseded attempts, by key: the next follows without their end. */
  readonly revoked: ReadonlyMap<string, string>;
}

export class GivenBackChecks {
  readonly #of: Of;
  readonly #begun = new Set<string>();
  readonly #exited = new Set<string>();
  readonly #givenBack = new Set<string>();
  /** Asked for, by key. */
  readonly #asked = new Set<string>();
  /** What was asked for and given back. */
  takenBack = 0;

  constructor(of: Of) {
    this.#of = of;
  }

  onRevoke(key: string): void {
    this.#asked.add(key);
  }

  onBegun(key: string): void {
    this.#begun.add(key);
  }

  onExited(key: string, { outcome, class: failure }: AttemptExited): void {
    this.#exited.add(key);
    if (outcome !== 'skipped' || failure !== 'drained') return;
    this.#givenBack.add(key);
    if (this.#asked.has(key)) this.takenBack += 1;
    if (this.#begun.has(key)) this.#of.note(`${key} is given back, and had begun`);
  }

  onRetry(key: string, { class: failure }: MessageData<'task.retrying'>): void {
    if (this.#givenBack.has(key) && failure !== 'drained')
      this.#of.note(`${key} was given back, and counts as ${failure}`);
  }

  /** Of a task on one host: its attempt before has said that it is over, or nobody waits for that. */
  onStart(attempt: string): void {
    const at = attempt.lastIndexOf('#');
    const n = Number(attempt.slice(at + 1));
    const before = `${attempt.slice(0, at)}#${n - 1}`;
    if (n > 1 && !this.#exited.has(before) && !this.#of.revoked.has(before))
      this.#of.note(`I4: ${attempt} is started, and ${before} has not ended`);
  }
}
