/**
 * The host's actor with its I/O: takes commands from the mailbox, keeps the attempts, answers.
 *
 *   mailbox -> command-intake (ledger, ack to JetStream) -> host-reducer -> attempts, ack events
 */
import { toError } from '#protocol/messages/errors.ts';
import { attemptKey, newId, type AttemptRef } from '#protocol/messages/ids.ts';
import type { Hardware } from '#protocol/messages/agent/hardware.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MailDecision, MailMessage } from '#protocol/nats/agents/mailbox.ts';
import type { Outbox } from '#protocol/nats/outbox/outbox.ts';
import { startActor, type Actor } from '#protocol/runtime/actor.ts';
import type { AttemptDeps } from '../attempt/attempt-deps.ts';
import { Attempt } from '../attempt/attempt.ts';
import { newAttempt, type AttemptState } from '../attempt/attempt-state.ts';
import { ScratchFolders } from '../attempt/run-folders.ts';
import { Collections } from '../files/collections.ts';
import { orderOf } from '../attempt/rules/stop-rules.ts';
import type { CpuLayout } from '../cpus/cpu-policy.ts';
import { CommandIntake } from './command-intake.ts';
import { answer } from './answers.ts';
import { dropRun } from './drop-run.ts';
import { firstSight, HostGpus } from './host-gpus.ts';
import type { HostInfo } from './host-info.ts';
import { updateHost } from './host-reducer.ts';
import { newHost, type HostEffect, type HostMessage, type HostState } from './host-state.ts';
import { LeftRuns } from './left-runs.ts';
import { resourcesOf } from './resources-of.ts';
import { restoredHost } from './restore.ts';
import { waitingOf, type Waiting } from './waiting.ts';

/** A stop that is done within this is answered once. */
const RECEIPT_SOON_MS = 30;

export interface HostOptions {
  /** Without what the host itself answers to. */
  readonly deps: Omit<AttemptDeps, 'onFreed' | 'onSetUp' | 'onEnded' | 'onGone' | 'scratch'>;
  readonly info: HostInfo;
  readonly slots: number;
  readonly outbox: Outbox;
  /** After which the folder of a run goes that nobody released. */
  readonly keepDays: number;
  /** As found at the start. */
  readonly hardware: Hardware;
  /** CPUs to bind attempts to; null: none is bound. */
  readonly layout: CpuLayout | null;
  /** These are bound to attempts from now on, and no others. */
  readonly onPinned: (cpus: readonly number[]) => void;
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
  readonly #intake: CommandIntake;
  /** Of runs that nobody released. */
  readonly #left: LeftRuns;
  /** Of files that somebody asked for. */
  readonly collections: Collections;
  #isClosed = false;
  #onMoved: (() => void) | null = null;
  /** Ended in the drain with survivors, or without a proof that there are none (I5, I12). */
  readonly #unproven: string[] = [];

  constructor(options: HostOptions) {
    this.#options = options;
    this.#deps = {
      ...options.deps,
      scratch: new ScratchFolders(options.deps.stateDir),
      onFreed: (key) => {
        this.#actor.post({ kind: 'freed', key });
        this.#gpus.reviewSoon();
      },
      onSetUp: (key, failure) => {
        this.#actor.post({ kind: 'set_up', key, failure });
      },
      onEnded: (key, end) => {
        const { proven, survivors } = end.stopped;
        if (this.#actor.state().isEnding && (!proven || survivors.length > 0))
          this.#unproven.push(key);
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
        memoryMiB: options.info.memoryMiB,
        gpus: firstSight(options.hardware),
      },
      update: updateHost,
      perform: (effect) => {
        this.#perform(effect);
      },
      clock: options.deps.clock,
      onBug: options.deps.onBug,
    });
    this.#intake = new CommandIntake(options.deps, (message) => {
      this.#actor.post(message);
    });
    this.collections = new Collections({
      deps: options.deps,
      attempt: (key) => this.#attempts.get(key),
      flush: () => options.outbox.flush(),
    });
    this.#left = new LeftRuns({
      ...options.deps,
      keepDays: options.keepDays,
      onFound: (run) => {
        if (!this.#isInUse(run)) this.#actor.post({ kind: 'forget_run', run });
      },
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
      // What is queued is told to begin by the host; what it then begins is not to be adopted.
      else if (initial.life.kind !== 'queued') resumed.push(attempt);
    }
    // The host first: an attempt may end, and a release be due, as soon as they are told.
    this.#actor.post({ kind: 'restore', restored });
    for (const attempt of resumed) attempt.resume();
    for (const [key, { go }] of fold.attempts)
      if (go !== undefined) this.#attempts.get(key)?.post({ kind: 'go', ...go });
    for (const run of fold.releasing) this.#actor.post({ kind: 'release', run });
    for (const [command, ref] of fold.revokes) this.#intake.revoke(command, ref);
    void this.#left.begin();
    return restored.live.filter(({ stage }) => stage !== 'queued').length;
  }

  /** Every command that was there when this process began has been handled. */
  onMailRead(): void {
    this.#actor.post({ kind: 'mail_read' });
  }

  /** Called by the mailbox, one message at a time. */
  onMail(message: MailMessage): Promise<MailDecision> {
    return Promise.resolve(this.#intake.onMail(message));
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
        const { key, slots, makesSetup } = effect;
        const resources = resourcesOf(effect, this.#options.info);
        this.#attempts.get(key)?.post({ kind: 'begin', slots, resources, makesSetup });
        return;
      }
      case 'behind_fence': {
        const { key, reason } = effect;
        this.#deps.log.warn({ attempt: key, reason }, 'an attempt waits');
        this.#attempts.get(key)?.post({ kind: 'wait', reason });
        return;
      }
      case 'pinned':
        this.#options.onPinned(effect.cpus);
        return;
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
      case 'say_undrained': {
        const { reason } = effect;
        this.#deps.log.info({ reason }, 'drained no more: takes work again');
        const { sink, agent } = this.#deps;
        sink.tell(subjects.hostEvents(agent), 'agent.undrained', { reason });
        return;
      }
      case 'refuse':
        this.#attempts.get(effect.key)?.post(effect);
        return;
      case 'cut_off':
        this.#attempts.get(effect.key)?.post({ kind: 'cut_off', reason: effect.reason });
        return;
      case 'stop_attempt': {
        const { key, command, stop: asked, isSuperseded } = effect;
        const stop = { ...orderOf(command, asked), ...(isSuperseded && { isSuperseded }) };
        this.#attempts.get(key)?.post({ kind: 'stop', stop });
        return;
      }
      case 'go':
      case 'peers':
        this.#attempts.get(effect.key)?.post(effect);
        return;
      case 'say_received_soon': {
        const { command } = effect;
        this.#deps.clock.after(RECEIPT_SOON_MS, () => {
          if (!this.#isClosed) this.#actor.post({ kind: 'say_received', command });
        });
        return;
      }
      case 'stop_received':
      case 'stop_done':
      case 'revoke_answered':
        answer(this.#deps, effect);
        return;
      case 'drop_run':
        void this.#dropRun(effect.run).catch(this.#deps.onBug);
        return;
      case 'forget_run':
        this.#forgetRun(effect.run);
        return;
    }
  }

  #accept(attempt: Attempt): void {
    const { hostname, address } = this.#options.info;
    attempt.post({ kind: 'accept', host: hostname, address });
  }

  async #dropRun(run: string): Promise<void> {
    if (this.collections.isCollecting(run)) await this.collections.drop(run);
    for (const [key, attempt] of this.#attempts) {
      if (attempt.state().spec.run !== run) continue;
      attempt.close();
      this.#attempts.delete(key);
    }
    const { outbox } = this.#options;
    this.#deps.scratch.forget(run);
    await dropRun(run, { deps: this.#deps, outbox, isClosed: () => this.#isClosed });
  }

  /** Whether this host has an attempt, a stop or a collection of the run to end. */
  #isInUse(run: string): boolean {
    const { fold } = this.#deps.ledger;
    const isOf = (ref: { readonly run: string }): boolean => ref.run === run;
    if (this.collections.isCollecting(run) || fold.releasing.has(run)) return true;
    const known = [...this.#attempts.values()].map((attempt) => attempt.state().spec);
    const recorded = [...fold.attempts.values()].map(({ spec }) => spec);
    const stopped = [...fold.stops.values()].map(({ stop }) => stop);
    return [...known, ...recorded, ...stopped, ...fold.revokes.values()].some(isOf);
  }

  #forgetRun(run: string): void {
    if (this.#isClosed || this.#isInUse(run)) return;
    const { ledger, scratch, log } = this.#deps;
    try {
      // Known before the folder goes: nobody may count on what it was prepared with.
      if ([...ledger.fold.setups].some((setup) => setup.startsWith(`${run}/`))) {
        ledger.write({ t: 'forgot', run });
        ledger.flush();
      }
      scratch.forget(run);
      this.#left.take(run);
    } catch (error) {
      log.warn({ run, err: toError(error).message }, 'an old folder is kept for now');
    }
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
    this.#actor.post({ kind: 'drain', reason, isEnding: true });
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

  /** Null for one that this process does not have: it never came, or it has ended and is stored. */
  look(ref: AttemptRef): { readonly state: AttemptState; readonly waitsFor: string | null } | null {
    const key = attemptKey(ref);
    const state = this.#attempts.get(key)?.state();
    if (state === undefined) return null;
    return { state, waitsFor: this.#actor.state().live.get(key)?.waitsFor ?? null };
  }

  /** Ends what runs as a stop does, each verified dead, to be run again elsewhere (I5). */
  stopAll(order: { readonly by: string; readonly reason: string }): void {
    const command = `drain-${newId()}`;
    const stop = { command, ...order, graceMs: null, now: false, givesBack: true } as const;
    for (const { key, stage } of this.#actor.state().live.values()) {
      if (stage === 'running') this.#attempts.get(key)?.post({ kind: 'stop', stop });
    }
  }

  /** How long the host may be cut off before one of its attempts ends by it; without those it has passed. */
  stopAfterMs(passedMs: number): number | null {
    const limits = [...this.#actor.state().live.values()].flatMap(
      ({ stopAfterMs }) => stopAfterMs ?? [],
    );
    const left = limits.filter((ms) => ms > passedMs);
    return left.length === 0 ? null : Math.min(...left);
  }

  onCutOff(forMs: number): void {
    this.#actor.post({ kind: 'cut_off', forMs });
  }

  /** Tells whether the disk of the state folder has room. */
  onDisk(blocked: string | null): void {
    if (this.#actor.state().blocked !== blocked) this.#actor.post({ kind: 'disk', blocked });
  }

  /** The agent ends; what runs goes on and is adopted by the next one (I8). */
  close(): void {
    this.#isClosed = true;
    this.#actor.close();
    this.collections.close();
    this.#left.close();
    for (const attempt of this.#attempts.values()) attempt.close();
  }
}
