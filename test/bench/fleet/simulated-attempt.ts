/** One attempt on a simulated host: the real reducer and records, its steps only wait. */
import { recordAttempt } from '#agent/attempt/attempt-record.ts';
import { updateAttempt } from '#agent/attempt/attempt-reducer.ts';
import {
  newAttempt,
  type AttemptEffect,
  type AttemptEnd,
  type AttemptMessage,
  type AttemptState,
  type NewAttempt,
} from '#agent/attempt/attempt-state.ts';
import type { EventSink } from '#agent/state/event-sink.ts';
import { startActor, type Actor } from '#protocol/runtime/actor.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import type { MemoryLedger } from './memory-ledger.ts';
import { startWaiting, waitOf, type WaitingStep } from './waiting-step.ts';

export interface SimulatedAttemptDeps {
  readonly agent: string;
  readonly ledger: MemoryLedger;
  readonly sink: EventSink;
  readonly clock: Clock;
  readonly onBug: (error: unknown) => void;
  /** Its step runs from now on, on that slot, for so long. */
  readonly onStep: (slot: number, waitMs: number) => void;
  readonly onFreed: () => void;
  readonly onEnded: (end: AttemptEnd) => void;
}

/** Of the real one (agent/attempt/attempt-timers.ts). */
const START_SOON_MS = 100;
const STOP_SOON_MS = 100;

export class SimulatedAttempt {
  readonly #deps: SimulatedAttemptDeps;
  readonly #actor: Actor<AttemptState, AttemptMessage>;
  #step: WaitingStep | null = null;

  constructor(deps: SimulatedAttemptDeps, attempt: NewAttempt) {
    this.#deps = deps;
    this.#actor = startActor<AttemptState, AttemptMessage, AttemptEffect>({
      initial: newAttempt(attempt),
      update: updateAttempt,
      perform: (effect) => {
        this.#perform(effect);
      },
      clock: deps.clock,
      onBug: deps.onBug,
    });
  }

  post(message: AttemptMessage): void {
    this.#actor.post(message);
  }

  #perform(effect: AttemptEffect): void {
    switch (effect.kind) {
      case 'record':
        recordAttempt(this.#deps, { ...effect, isShipped: true, log: silentLog });
        return;
      case 'say_accepted_soon':
        this.#deps.clock.after(START_SOON_MS, () => {
          this.post({ kind: 'say_accepted' });
        });
        return;
      case 'say_stopping_soon': {
        const { stop } = effect;
        this.#deps.clock.after(STOP_SOON_MS, () => {
          this.post({ kind: 'say_stopping', stop });
        });
        return;
      }
      case 'start_step':
        this.#start(effect);
        return;
      case 'stop_step':
        this.#step?.stop();
        return;
      case 'free':
        this.#deps.onFreed();
        return;
      case 'finish':
        this.post({ kind: 'finished', logGaps: [] });
        return;
      case 'end':
        this.#deps.onEnded(effect.end);
        return;
      case 'wait':
      case 'write_peers':
      case 'adopt_step':
      case 'run_check':
      case 'extract':
      case 'set_up':
      case 'stage':
        throw new Error(`a simulated host cannot ${effect.kind}`);
    }
  }

  #start({ index, step, slot }: Extract<AttemptEffect, { kind: 'start_step' }>): void {
    this.#deps.onStep(slot, waitOf(step));
    this.#step = startWaiting(step, {
      onStarted: () => {
        this.post({ kind: 'step_started', index, pid: 1 });
      },
      onEnd: (outcome) => {
        this.#step = null;
        this.post({ kind: 'step_ended', index, outcome, lastLine: null });
      },
    });
  }
}
