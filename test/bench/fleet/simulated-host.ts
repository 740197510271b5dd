/**
 * A host that is not real: the intake, ledger fold and reducer of the real one decide; its attempts
 * only wait (simulated-attempt.ts).
 *
 *   mailbox -> CommandIntake -> updateHost -> SimulatedAttempt -> EventSink
 */
import { answer } from '#agent/host/answers.ts';
import { CommandIntake } from '#agent/host/command-intake.ts';
import { updateHost } from '#agent/host/host-reducer.ts';
import {
  newHost,
  type HostEffect,
  type HostMessage,
  type HostState,
} from '#agent/host/host-state.ts';
import { resourcesOf } from '#agent/host/resources-of.ts';
import { orderOf } from '#agent/attempt/rules/stop-rules.ts';
import type { EventSink } from '#agent/state/event-sink.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MailDecision, MailMessage } from '#protocol/nats/agents/mailbox.ts';
import type { Outbox } from '#protocol/nats/outbox/outbox.ts';
import { startActor, type Actor } from '#protocol/runtime/actor.ts';
import { systemClock } from '#protocol/runtime/clock.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { MemoryLedger } from './memory-ledger.ts';
import { SimulatedAttempt } from './simulated-attempt.ts';
import { sharedNowMs, type SlotTimes } from './slot-times.ts';

/** Of the real one (agent/host/host.ts). */
const RECEIPT_SOON_MS = 30;

export interface SimulatedHostOptions {
  readonly registration: Registration;
  readonly sink: EventSink;
  readonly outbox: Outbox;
  readonly times: SlotTimes;
  /** An attempt was given to it, for the first time. */
  readonly onStart: (key: string) => void;
  /** An attempt begins to run: once for each, or I4 is broken. */
  readonly onBegin: (key: string) => void;
  readonly onBug: (error: unknown) => void;
}

export class SimulatedHost {
  readonly #options: SimulatedHostOptions;
  readonly #deps;
  readonly #attempts = new Map<string, SimulatedAttempt>();
  readonly #actor: Actor<HostState, HostMessage>;
  readonly #intake: CommandIntake;
  /** When the last attempt on a slot was over. */
  readonly #freeSince = new Map<number, number>();

  constructor(options: SimulatedHostOptions) {
    this.#options = options;
    const { registration, sink, onBug } = options;
    const { agent, slots, cpus } = registration;
    const ledger = new MemoryLedger();
    this.#deps = { agent, sink, ledger, log: silentLog, clock: systemClock, onBug };
    this.#actor = startActor<HostState, HostMessage, HostEffect>({
      initial: newHost(slots, cpus),
      update: updateHost,
      perform: (effect) => {
        this.#perform(effect);
      },
      clock: systemClock,
      onBug,
    });
    this.#intake = new CommandIntake(this.#deps, (message) => {
      this.#actor.post(message);
    });
  }

  onMail(message: MailMessage): MailDecision {
    return this.#intake.onMail(message);
  }

  counts(): { readonly running: number; readonly queued: number } {
    let running = 0;
    let queued = 0;
    for (const { stage } of this.#actor.state().live.values()) {
      if (stage === 'running') running += 1;
      else if (stage === 'queued') queued += 1;
    }
    return { running, queued };
  }

  #perform(effect: HostEffect): void {
    switch (effect.kind) {
      case 'accept':
        this.#accept(effect);
        return;
      case 'begin':
        this.#begin(effect);
        return;
      case 'refuse':
        this.#attempts.get(effect.key)?.post(effect);
        return;
      case 'stop_attempt':
        this.#attempts
          .get(effect.key)
          ?.post({ kind: 'stop', stop: orderOf(effect.command, effect.stop) });
        return;
      case 'say_received_soon': {
        const { command } = effect;
        systemClock.after(RECEIPT_SOON_MS, () => {
          this.#actor.post({ kind: 'say_received', command });
        });
        return;
      }
      case 'stop_received':
      case 'stop_done':
      case 'revoke_answered':
        answer(this.#deps, effect);
        return;
      case 'drop_run':
      case 'forget_run':
        this.#drop(effect.run);
        return;
      case 'say_draining':
      case 'say_undrained':
      case 'behind_fence':
      case 'pinned':
      case 'go':
      case 'peers':
      case 'look':
      case 'look_later':
      case 'cut_off':
        throw new Error(`a simulated host cannot ${effect.kind}`);
    }
  }

  #accept({ key, command, spec }: Extract<HostEffect, { kind: 'accept' }>): void {
    const { registration, times, onStart } = this.#options;
    const { bootId, rung: proof, hostname: host, address } = registration;
    onStart(key);
    let held = 0;
    const attempt = new SimulatedAttempt(
      {
        ...this.#deps,
        onStep: (slot, askedMs) => {
          held = slot;
          const beganMs = sharedNowMs();
          const since = this.#freeSince.get(slot);
          times.add({ beganMs, askedMs, gapMs: since === undefined ? -1 : beganMs - since });
        },
        onFreed: () => {
          this.#freeSince.set(held, sharedNowMs());
          this.#actor.post({ kind: 'freed', key });
        },
        onEnded: (end) => {
          this.#attempts.delete(key);
          this.#actor.post({ kind: 'ended', key, end });
        },
      },
      { spec, command, bootId, proof },
    );
    this.#attempts.set(key, attempt);
    attempt.post({ kind: 'accept', host, address });
  }

  #begin(effect: Extract<HostEffect, { kind: 'begin' }>): void {
    const { onBegin, registration } = this.#options;
    const { key, slots } = effect;
    onBegin(key);
    const resources = resourcesOf(effect, registration);
    this.#attempts.get(key)?.post({ kind: 'begin', slots, resources });
  }

  /** What is kept of a run that is archived. */
  #drop(run: string): void {
    const { ledger, agent } = this.#deps;
    const acks = (ledger.fold.answered.get(run) ?? []).map((command) =>
      subjects.ack(agent, command),
    );
    const attempt = subjects.attemptEvents(agent, { run, task: 'x', n: 1 });
    const events = attempt.split('.').slice(0, -2).join('.');
    void this.#options.outbox.drop([events, ...acks]);
    ledger.write({ t: 'dropped', run });
  }
}
