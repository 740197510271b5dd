/**
 * The host's actor with its I/O: takes commands from the mailbox, keeps the attempts, answers.
 *
 *   mailbox -> readCommand -> ledger -> (ack to JetStream) -> host-reducer -> attempts, ack events
 *
 * A command is in the ledger before it is acknowledged and before anything is done about it, so an
 * agent killed in between does it when it is back (I8).
 */
import { attemptKey, newId, type AttemptRef } from '#protocol/messages/ids.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { Hardware } from '#protocol/messages/hardware.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MailDecision, MailMessage } from '#protocol/nats/mailbox.ts';
import type { Outbox } from '#protocol/nats/outbox.ts';
import { startActor, type Actor } from '#protocol/runtime/actor.ts';
import type { AttemptDeps } from '../attempt/attempt-deps.ts';
import { Attempt } from '../attempt/attempt.ts';
import { orderOf } from '../attempt/stop-rules.ts';
import { newAttempt } from '../attempt/attempt-state.ts';
import type { LedgerEntry } from '../state/ledger-entries.ts';
import type { CpuLayout } from '../cpus/cpu-policy.ts';
import { readCommand, type Command } from './command-reader.ts';
import { dropRun } from './drop-run.ts';
import { firstSight, HostGpus } from './host-gpus.ts';
import type { HostInfo } from './host-info.ts';
import { updateHost } from './host-reducer.ts';
import { newHost, type HostEffect, type HostMessage, type HostState } from './host-state.ts';
import { resourcesOf } from './resources-of.ts';
import { restoredHost } from './restore.ts';
import { drainReason, waitingOf, type Waiting } from './waiting.ts';

type AckName = Extract<MessageName, `command.${'received' | 'stop_done' | 'revoke_answered'}`>;

/** An answer to a command, with its fixed place on the ack subject. */
interface Answer<N extends AckName> {
  readonly name: N;
  readonly data: MessageData<N>;
  readonly seq: number;
}

export interface HostOptions {
  /** Without what the host itself answers to. */
  readonly deps: Omit<AttemptDeps, 'onFreed' | 'onEnded' | 'onGone'>;
  readonly info: HostInfo;
  readonly slots: number;
  readonly outbox: Outbox;
  /** As found at the start. */
  readonly hardware: Hardware;
  /** CPUs to bind attempts to; null: none is bound. */
  readonly layout: CpuLayout | null;
  /** Looks at the host now. */
  readonly look: () => void;
  /** What is known of the host has changed without a look. */
  readonly tell: (hardware: Hardware) => void;
}

export class Host {
  readonly #options: HostOptions;
  readonly #deps: AttemptDeps;
  readonly #attempts = new Map<string, Attempt>();
  readonly #actor: Actor<HostState, HostMessage>;
  readonly #gpus: HostGpus;
  #isClosed = false;
  #onMoved: (() => void) | null = null;
  /** Ended in the drain with survivors, or without a proof that there are none (I5, I12). */
  readonly #unproven: string[] = [];

  constructor(options: HostOptions) {
    this.#options = options;
    this.#deps = {
      ...options.deps,
      onFreed: (key) => {
        this.#actor.post({ kind: 'freed', key });
        this.#gpus.reviewSoon();
      },
      onEnded: (key, end) => {
        const { proven, survivors } = end.stopped;
        if (this.isDraining() && (!proven || survivors.length > 0)) this.#unproven.push(key);
        this.#actor.post({ kind: 'ended', key, end });
        this.#gpus.reviewSoon();
        this.#onMoved?.();
      },
      onGone: (key) => {
        this.#attempts.delete(key);
        this.#onMoved?.();
      },
    };
    this.#actor = startActor<HostState, HostMessage, HostEffect>({
      initial: {
        ...newHost(options.slots, options.info.cpus, options.layout),
        gpus: firstSight(options.hardware),
      },
      update: updateHost,
      perform: (effect) => {
        this.#perform(effect);
      },
      clock: options.deps.clock,
      onBug: options.deps.onBug,
    });
    this.#gpus = new HostGpus({
      live: () => this.#actor.state().live,
      specOf: (key) => this.#attempts.get(key)?.state().spec,
      stateDir: options.deps.stateDir,
      clock: options.deps.clock,
      tell: options.tell,
      post: (message) => {
        this.#actor.post(message);
      },
    });
  }

  /** Told of each look at the host; gives it back with the fences of its GPUs. */
  onLook(found: Hardware): Hardware {
    return this.#gpus.onLook(found);
  }

  /** Takes up what the ledger knows; returns how many attempts were running. */
  restore(): number {
    const { fold } = this.#deps.ledger;
    const restored = restoredHost(fold);
    const resumed: Attempt[] = [];
    for (const record of fold.attempts.values()) {
      const { spec, command, state } = record;
      const { bootId, proof } = this.#deps;
      const initial =
        state === null
          ? newAttempt({ spec, command, bootId, proof })
          : { ...state, spec, reported: null };
      const attempt = new Attempt(this.#deps, initial);
      this.#attempts.set(attempt.key, attempt);
      if (state === null) this.#accept(attempt);
      else resumed.push(attempt);
    }
    // The host first: an attempt may end, and a release be due, as soon as they are told.
    this.#actor.post({ kind: 'restore', restored });
    for (const attempt of resumed) attempt.resume();
    for (const run of fold.releasing) this.#actor.post({ kind: 'release', run });
    for (const [command, ref] of fold.revokes) this.#revoke(command, ref);
    return restored.live.filter(({ stage }) => stage !== 'queued').length;
  }

  /** Called by the mailbox, one message at a time. */
  onMail(message: MailMessage): Promise<MailDecision> {
    return Promise.resolve(this.#onMail(message));
  }

  #onMail(mail: MailMessage): MailDecision {
    const { subject, sequence, timeMs, data } = mail;
    const { ledger, agent, sink, log } = this.#deps;
    const read = readCommand(agent, subject, data);
    if (read.kind === 'rejected') {
      const { type, reason } = read;
      log.warn({ subject, sequence, type, reason }, 'message rejected');
      const id = `rejected-${sequence}-${timeMs}`;
      if (!ledger.fold.isRepeat(id, mail)) {
        this.#write({ t: 'rejected', id, seq: sequence, ms: timeMs });
        sink.tell(subjects.hostEvents(agent), 'message.rejected', {
          subject,
          sequence,
          type,
          reason,
        });
      }
      return 'term';
    }
    const { command } = read;
    if (ledger.fold.isRepeat(command.id, mail)) return 'ack';
    this.#onCommand(command, mail);
    return 'ack';
  }

  #onCommand(command: Command, { sequence, timeMs }: MailMessage): void {
    const entry = { id: command.id, seq: sequence, ms: timeMs };
    switch (command.name) {
      case 'command.start': {
        const { spec, afterStop, priority } = command.data;
        if (this.#deps.ledger.fold.known.has(attemptKey(spec))) return;
        this.#write({ t: 'start', ...entry, spec, afterStop, priority });
        this.#actor.post({
          kind: 'start',
          command: command.id,
          era: this.#deps.ledger.fold.era,
          sequence,
          spec,
          afterStop,
          priority,
        });
        return;
      }
      case 'command.revoke': {
        const { run, task, n } = command.data;
        const ref = { run, task, n };
        this.#write({ t: 'revoke', ...entry, ref });
        this.#revoke(command.id, ref);
        return;
      }
      case 'command.stop':
        this.#write({ t: 'stop', ...entry, stop: command.data });
        this.#actor.post({
          kind: 'stop',
          command: command.id,
          era: this.#deps.ledger.fold.era,
          sequence,
          stop: command.data,
        });
        return;
      case 'command.release':
        this.#write({ t: 'release', ...entry, run: command.data.run });
        this.#actor.post({ kind: 'release', run: command.data.run });
        return;
      case 'command.drain':
        this.#write({ t: 'drain', ...entry });
        this.drain(drainReason(command.data));
        return;
    }
  }

  #revoke(command: string, ref: AttemptRef): void {
    const isKnown = this.#deps.ledger.fold.known.has(attemptKey(ref));
    this.#actor.post({ kind: 'revoke', command, ref, isKnown });
  }

  /** Throws while the disk is full: the mailbox then delivers the command again. */
  #write(entry: Extract<LedgerEntry, { id: string }>): void {
    if (this.#deps.ledger.writeCommand(entry)) return;
    throw new Error('the disk of the state folder is full: a command waits');
  }

  #perform(effect: HostEffect): void {
    switch (effect.kind) {
      case 'accept': {
        const { bootId, proof } = this.#deps;
        const { spec, command, key } = effect;
        const attempt = new Attempt(this.#deps, newAttempt({ spec, command, bootId, proof }));
        this.#attempts.set(key, attempt);
        this.#accept(attempt);
        return;
      }
      case 'begin': {
        const { key, slots } = effect;
        const resources = resourcesOf(effect, this.#options.info);
        this.#attempts.get(key)?.post({ kind: 'begin', slots, resources });
        return;
      }
      case 'behind_fence': {
        const { key, reason } = effect;
        this.#deps.log.warn({ attempt: key, reason }, 'an attempt waits for a fence');
        this.#attempts.get(key)?.post({ kind: 'wait', reason });
        return;
      }
      case 'look':
        this.#options.look();
        return;
      case 'look_later':
        this.#gpus.lookLater();
        return;
      case 'say_draining':
        this.#deps.log.info({ reason: effect.reason }, 'draining: nothing new is started');
        this.sayDraining(effect.reason);
        return;
      case 'refuse':
        this.#attempts
          .get(effect.key)
          ?.post({ kind: 'refuse', class: effect.class, reason: effect.reason });
        return;
      case 'stop_attempt': {
        const stop = orderOf(effect.command, effect.stop);
        this.#attempts.get(effect.key)?.post({ kind: 'stop', stop });
        return;
      }
      case 'stop_received':
        this.#answer(effect.command, {
          name: 'command.received',
          data: { kind: 'stop', attempts: effect.attempts },
          seq: 1,
        });
        return;
      case 'stop_done': {
        const { run, task } = effect.stop;
        const data = { run, task, attempts: [...effect.attempts] };
        this.#answer(effect.command, { name: 'command.stop_done', data, seq: 2 });
        this.#deps.log.info(
          { run, task, command: effect.command, attempts: effect.attempts.length },
          'stop done',
        );
        return;
      }
      case 'revoke_answered': {
        const { run, task, n } = effect.ref;
        const data = { run, task, n, answer: effect.answer };
        const key = attemptKey(effect.ref);
        const isRevoked = effect.answer === 'revoked';
        const answer = { name: 'command.revoke_answered', data, seq: 1 } as const;
        this.#answer(effect.command, answer, isRevoked ? key : undefined);
        if (!isRevoked) return;
        this.#attempts.get(key)?.close();
        this.#attempts.delete(key);
        return;
      }
      case 'drop_run':
        void this.#dropRun(effect.run).catch(this.#deps.onBug);
        return;
    }
  }

  #accept(attempt: Attempt): void {
    const { hostname, address } = this.#options.info;
    attempt.post({ kind: 'accept', host: hostname, address });
  }

  #answer<N extends AckName>(command: string, answer: Answer<N>, revoked?: string): void {
    const { name, data, seq } = answer;
    const { ledger, sink, agent } = this.#deps;
    const run = 'run' in data ? data.run : (ledger.fold.stops.get(command)?.stop.run ?? '');
    const event = { subject: subjects.ack(agent, command), run, seq, name, data };
    const isDone = name !== 'command.received';
    ledger.write({
      t: 'ack',
      command,
      isDone,
      ev: [event],
      ...(revoked === undefined ? {} : { revoked }),
    });
    ledger.sync();
    sink.publish(event);
  }

  async #dropRun(run: string): Promise<void> {
    for (const [key, attempt] of this.#attempts) {
      if (attempt.state().spec.run !== run) continue;
      attempt.close();
      this.#attempts.delete(key);
    }
    const { outbox } = this.#options;
    await dropRun(run, { deps: this.#deps, outbox, isClosed: () => this.#isClosed });
  }

  /** For the heartbeat. */
  counts(): { readonly running: number; readonly queued: number } {
    const live = [...this.#actor.state().live.values()];
    const queued = live.filter(({ stage }) => stage === 'queued').length;
    return { running: live.filter(({ stage }) => stage === 'running').length, queued };
  }

  /**
   * From now on nothing starts here, and what waits is given back. In this process only: who wants
   * it for longer commands it, which the ledger keeps.
   */
  drain(reason: string): void {
    this.#actor.post({ kind: 'drain', reason });
  }

  /** Said again after a restart: `agent.started` has taken it back. */
  sayDraining(reason: string): void {
    const { sink, agent } = this.#deps;
    sink.tell(subjects.hostEvents(agent), 'agent.draining', { reason });
  }

  isDraining(): boolean {
    return this.#actor.state().isDraining;
  }

  /** What a drain still waits for; `onMoved` is called whenever that may be less. */
  waiting(): Waiting {
    return waitingOf(this.#actor.state().live, this.#attempts);
  }

  /** Attempts that ended in the drain and may have left something alive, and those known to have. */
  unproven(): readonly string[] {
    return [...new Set([...this.waiting().fenced, ...this.#unproven])];
  }

  onMoved(listener: () => void): void {
    this.#onMoved = listener;
  }

  /** Ends what runs as a stop does, each verified dead, to be run again elsewhere (I5). */
  stopAll(order: { readonly by: string; readonly reason: string }): void {
    const command = `drain-${newId()}`;
    const stop = { command, ...order, graceMs: null, now: false, givesBack: true } as const;
    for (const { key, stage } of this.#actor.state().live.values()) {
      if (stage === 'running') this.#attempts.get(key)?.post({ kind: 'stop', stop });
    }
  }

  /** Tells whether the disk of the state folder has room. */
  onDisk(blocked: string | null): void {
    if (this.#actor.state().blocked !== blocked) this.#actor.post({ kind: 'disk', blocked });
  }

  /** The agent ends; what runs goes on and is adopted by the next one (I8). */
  close(): void {
    this.#isClosed = true;
    this.#actor.close();
    for (const attempt of this.#attempts.values()) attempt.close();
  }
}
