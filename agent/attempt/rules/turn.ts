/**
 * One turn of the attempt's reducer: collects the next state, the events and the effects. It lives
 * inside one call of `update`, so the reducer stays pure.
 *
 * Events and state leave as one `record` effect before every other effect: the journal knows of a
 * step before it can run, and of an event before the outbox does (I8).
 */
import { placeIn } from '#protocol/messages/attempt/gang.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { Now } from '#protocol/runtime/clock.ts';
import type { AttemptEffect, AttemptEvent, AttemptState } from '../attempt-state.ts';

export class Turn {
  state: AttemptState;
  readonly now: Now;
  readonly #events: AttemptEvent[] = [];
  readonly #effects: AttemptEffect[] = [];
  #durable = false;

  constructor(state: AttemptState, now: Now) {
    this.state = state;
    this.now = now;
  }

  set(change: Partial<AttemptState>): void {
    this.state = { ...this.state, ...change };
  }

  /** A change that a returning agent must know. */
  keep(change: Partial<AttemptState>): void {
    this.set(change);
    this.#durable = true;
  }

  /** Since it got its slots, 0 before, never going back (I2, I3). */
  elapsedMs(): number {
    const { originMs, elapsedMs } = this.state;
    if (originMs === null) return elapsedMs;
    return Math.max(elapsedMs, Math.round((this.now.monotonicMs - originMs) * 1000) / 1000);
  }

  /** The attempt's first event says who took it, in its own words or in a message before it. */
  emit<N extends MessageName>(name: N, data: MessageData<N>): void {
    const { at, command, seq, spec } = this.state;
    if (seq > 0 || at === null || name === 'attempt.accepted') this.#add(name, data);
    else if (name === 'attempt.step_started') {
      this.#add(name, { ...data, accepted: { command, ...at, ...placeIn(spec) } });
    } else {
      this.#add('attempt.accepted', {
        elapsedMs: this.elapsedMs(),
        command,
        ...at,
        ...placeIn(spec),
      });
      this.#add(name, data);
    }
  }

  #add<N extends MessageName>(name: N, data: MessageData<N>): void {
    const seq = this.state.seq + 1;
    this.keep({ seq, elapsedMs: this.elapsedMs() });
    this.#events.push({ name, seq, data } as AttemptEvent); // name and data of one catalog entry
  }

  effect(effect: AttemptEffect): void {
    this.#effects.push(effect);
  }

  result(): readonly [AttemptState, readonly AttemptEffect[]] {
    if (!this.#durable) return [this.state, this.#effects];
    const record = { kind: 'record', state: this.state, events: this.#events } as const;
    return [this.state, [record, ...this.#effects]];
  }
}
