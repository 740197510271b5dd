/**
 * When a snapshot is made, and when the last one goes. What a new leader has to read stays in proportion to
 * what it would have to restore anyway, and what snapshots cost, all together, to what the events themselves
 * cost: the next is due after half as many events as the last is made of.
 */
import { toError } from '#protocol/messages/errors.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { Restored, SnapshotPort, Taken } from './snapshot-port.ts';

/** Fewer are read in a second or two. */
export const LEAST_EVENTS = 50_000;

/** Pure. `since`: events read since the last one, which is made of `covered`. */
export function isSnapshotDue(events: {
  readonly since: number;
  readonly covered: number;
}): boolean {
  return events.since >= Math.max(LEAST_EVENTS, events.covered / 2);
}

export class SnapshotKeeper {
  readonly #port: SnapshotPort;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  /** Of the last one, or of the last try. */
  #covered = 0;
  #since = 0;
  #isThere = false;
  #isBusy = false;

  constructor(port: SnapshotPort, { log, signal }: { log: Log; signal: AbortSignal }) {
    this.#port = port;
    this.#log = log;
    this.#signal = signal;
  }

  async load(): Promise<Restored | null> {
    const restored = await this.#port.load();
    this.#covered = restored?.messages ?? 0;
    this.#isThere = restored !== null;
    return restored;
  }

  onEvent(): void {
    this.#since += 1;
  }

  /** Now and then. */
  look({ isIdle }: { readonly isIdle: boolean }): void {
    if (this.#isBusy || this.#signal.aborted) return;
    if (isIdle) {
      if (this.#isThere) void this.#work(() => this.#drop());
    } else if (isSnapshotDue({ since: this.#since, covered: this.#covered }))
      void this.#work(() => this.#take());
  }

  async #work(work: () => Promise<void>): Promise<void> {
    this.#isBusy = true;
    try {
      await work();
    } catch (error) {
      if (!this.#signal.aborted)
        this.#log.warn({ err: toError(error).message }, 'the snapshot could not be kept');
    } finally {
      this.#isBusy = false;
    }
  }

  async #take(): Promise<void> {
    const asked = this.#since;
    this.#since = 0;
    this.#covered += asked;
    const taken: Taken = await this.#port.take(this.#signal);
    this.#covered = taken.messages;
    this.#isThere = true;
    this.#log.info({ ...taken }, 'snapshot stored');
  }

  async #drop(): Promise<void> {
    this.#isThere = false;
    this.#covered = 0;
    await this.#port.drop();
  }
}
