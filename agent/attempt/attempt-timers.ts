/** What an attempt is told after a while. */
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import type { AttemptEffect, AttemptMessage } from './attempt-state.ts';

/** What starts within this says with its first step that it was accepted: a message less each. */
const START_SOON_MS = 100;
/** What ends within this after a stop says by its end that it was stopping. */
const STOP_SOON_MS = 100;

export class AttemptTimers {
  readonly #clock: Clock;
  readonly #post: (message: AttemptMessage) => void;
  /** Of a rank that is at a barrier. */
  #wait: Timer | null = null;

  constructor(clock: Clock, post: (message: AttemptMessage) => void) {
    this.#clock = clock;
    this.#post = post;
  }

  begin(
    effect: Extract<AttemptEffect, { kind: 'say_accepted_soon' | 'say_stopping_soon' | 'wait' }>,
  ): void {
    if (effect.kind === 'say_accepted_soon') {
      this.#clock.after(START_SOON_MS, () => {
        this.#post({ kind: 'say_accepted' });
      });
      return;
    }
    if (effect.kind === 'say_stopping_soon') {
      const { stop } = effect;
      this.#clock.after(STOP_SOON_MS, () => {
        this.#post({ kind: 'say_stopping', stop });
      });
      return;
    }
    const { index, forMs } = effect;
    this.#wait?.cancel();
    this.#wait = this.#clock.after(forMs, () => {
      this.#wait = null;
      this.#post({ kind: 'waited', index });
    });
  }

  close(): void {
    this.#wait?.cancel();
  }
}
