/**
 * One attempt with its I/O: performs what attempt-reducer.ts asks for.
 *
 *   reducer --record--> ledger, then outbox           supervisor --started, ended--> reducer
 *           --start_step, stop_step--> supervisor     report file --lines--> reducer
 *           --extract--> metric feed                  file keeper --stored--> reducer
 *           --finish--> files and the rest of the log
 *
 * It lives until its log is stored.
 */
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { startActor, type Actor } from '#protocol/runtime/actor.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { StepEvents, StepHandle, StepOutcome } from '../process/types.ts';
import { AttemptFiles } from '../files/attempt-files.ts';
import { attemptPaths, stepDir, type AttemptPaths } from '../state/state-folder.ts';
import { spareFolders, stderrEnd, makeAttemptFolder, unstarted } from './attempt-folder.ts';
import type { AttemptDeps } from './attempt-deps.ts';
import { AttemptAsker } from './attempt-asker.ts';
import { AttemptMeter } from './attempt-meter.ts';
import { AttemptOutput, type OutputSource } from './attempt-output.ts';
import { recordAttempt } from './attempt-record.ts';
import { AttemptTimers } from './attempt-timers.ts';
import { updateAttempt } from './attempt-reducer.ts';
import {
  isFenced,
  logBytesOf,
  startOf,
  type AttemptEffect,
  type AttemptMessage,
  type AttemptState,
} from './attempt-state.ts';
import { knownStart, stepSpecOf } from './step-spec.ts';
import { hostSetupOf, prepareStep } from './prepare-step.ts';
import { endsWithRamp } from './rules/ramp-rules.ts';
import { ReportLink } from './report-link.ts';
import { SurvivorWatch } from './survivor-watch.ts';

export class Attempt {
  readonly key: string;
  readonly #deps: AttemptDeps;
  readonly #paths: AttemptPaths;
  readonly #log: Log;
  readonly #actor: Actor<AttemptState, AttemptMessage>;
  readonly #meter: AttemptMeter;
  /** Of what runs, by its position in the spec. */
  readonly #handles = new Map<number, StepHandle>();
  readonly #asker: AttemptAsker;
  readonly #survivors: SurvivorWatch;
  readonly #output: AttemptOutput;
  readonly #files: AttemptFiles;
  readonly #report: ReportLink;
  readonly #timers: AttemptTimers;
  #isLeaving = false;
  #isClosed = false;

  constructor(deps: AttemptDeps, initial: AttemptState) {
    this.#deps = deps;
    const { run, task, n } = initial.spec;
    this.key = attemptKey(initial.spec);
    this.#paths = attemptPaths(deps.stateDir, initial.spec);
    this.#log = deps.log.child({ run, task, attempt: n });
    const isResumed = initial.life.kind !== 'new';
    this.#output = new AttemptOutput({ deps, spec: initial.spec, log: this.#log, isResumed });
    const post = this.post.bind(this);
    const state = this.state.bind(this);
    this.#timers = new AttemptTimers(deps.clock, post);
    this.#files = new AttemptFiles({ deps, paths: this.#paths, log: this.#log, state, post });
    this.#asker = new AttemptAsker({
      deps,
      health: initial.spec.health,
      paths: this.#paths,
      state,
      checkpoint: () => this.#files.checkpoint(),
      post,
    });
    this.#meter = new AttemptMeter(deps, initial, state);
    this.#report = new ReportLink({
      deps,
      spec: initial.spec,
      file: this.#paths.report,
      isResumed,
      elapsedMs: this.#meter.elapsedMs,
      log: this.#log,
      post,
      health: this.#asker.health,
    });
    this.#survivors = new SurvivorWatch({
      deps,
      log: this.#log,
      work: this.#paths.work,
      onGone: (step) => {
        this.post({ kind: 'step_gone', step });
      },
    });
    this.#actor = startActor<AttemptState, AttemptMessage, AttemptEffect>({
      initial,
      update: updateAttempt,
      perform: this.#perform.bind(this),
      clock: deps.clock,
      onBug: deps.onBug,
    });
  }

  post(message: AttemptMessage): void {
    this.#actor.post(message);
  }

  state(): AttemptState {
    return this.#actor.state();
  }

  /** Takes up where an earlier process left off (I8). */
  resume(): void {
    const state = this.state();
    if (state.life.kind === 'queued') return;
    for (const id of state.fencedBy ?? []) this.#survivors.look(id);
    for (const [index, result] of state.steps.entries()) {
      const step = state.spec.steps.find(({ id }) => id === result.id);
      if (step === undefined) continue;
      const before = state.steps.slice(0, index).reduce((sum, each) => sum + each.logBytes, 0);
      this.#output.adopt(step, this.#stepDir(step));
      this.#output.endStep(this.#source(step, before), result.logBytes);
    }
    if (state.life.kind === 'exited') {
      this.#leaveWhenShipped();
      return;
    }
    if (state.ramp?.isTold === false) this.#report.beginStage(state.ramp);
    this.#report.catchUp(state.life.kind === 'stepping');
    this.post({ kind: 'resume', bootId: this.#deps.bootId });
  }

  /** The agent ends; processes go on. */
  close(): void {
    this.#isClosed = true;
    this.#actor.close();
    this.#meter.close();
    this.#timers.close();
    for (const handle of this.#handles.values()) handle.detach();
    this.#asker.close();
    this.#survivors.close();
    this.#output.close();
    this.#files.close();
    this.#report.close();
  }

  #perform(effect: AttemptEffect): void {
    switch (effect.kind) {
      case 'record':
        recordAttempt(this.#deps, {
          state: effect.state,
          events: effect.events.map((event) => this.#meter.withSummary(event)),
          isShipped: this.#output.isStored(logBytesOf(effect.state)),
          log: this.#log,
        });
        return;
      case 'say_accepted_soon':
      case 'say_stopping_soon':
      case 'wait':
        this.#timers.begin(effect);
        return;
      case 'write_peers':
        this.#files.writePeers();
        return;
      case 'stage':
        this.#report.beginStage(effect.stage, effect.forMs);
        return;
      case 'start_step':
        this.#start(effect);
        return;
      case 'adopt_step':
        void this.#adopt(effect.index, effect.step).catch(this.#deps.onBug);
        return;
      case 'stop_step':
        this.#asker.stopCheck(effect.index);
        this.#handles.get(effect.index)?.stop(effect);
        return;
      case 'run_check':
        this.#runCheck(effect);
        return;
      case 'extract':
        this.#extract();
        return;
      case 'set_up':
        this.#deps.onSetUp(this.key, effect.failure);
        return;
      case 'free':
        this.#deps.onFreed(this.key);
        if (this.#isLeaving) this.#leaveWhenShipped();
        return;
      case 'finish':
        this.#onStepsOver();
        void this.#finish().catch(this.#deps.onBug);
        return;
      case 'end':
        this.#onStepsOver();
        this.#deps.onEnded(this.key, effect.end);
        this.#leaveWhenShipped();
        return;
    }
  }

  #start(effect: Extract<AttemptEffect, { kind: 'start_step' }>): void {
    const [deps, paths, files, state] = [this.#deps, this.#paths, this.#files, this.state()];
    const fail = this.#cannotStart.bind(this, effect.index);
    const spawn = this.#spawn.bind(this, effect);
    const ask = this.#asker.beforeStep.bind(this.#asker);
    let preparing: Promise<void> | null;
    try {
      preparing = prepareStep({ ...effect, deps, paths, files, state, ask });
    } catch (error) {
      fail(error);
      return;
    }
    if (preparing === null) spawn();
    else void preparing.then(spawn, fail);
  }

  #cannotStart(index: number, error: unknown): void {
    this.#log.error({ err: error }, 'the attempt cannot be prepared');
    const outcome = unstarted(error);
    queueMicrotask(() => {
      this.post({ kind: 'step_ended', index, outcome, lastLine: null });
    });
  }

  #runCheck({ index, step, budgetMs }: Extract<AttemptEffect, { kind: 'run_check' }>): void {
    try {
      makeAttemptFolder(this.#paths);
      this.#asker.check(index, step, budgetMs);
    } catch (error) {
      this.#cannotStart(index, error);
    }
  }

  #spawn({ index, step, budgetMs, slot }: Extract<AttemptEffect, { kind: 'start_step' }>): void {
    if (this.#isClosed) return;
    const { spec, stop, verdict, resources } = this.state();
    const { supervisor, inheritedEnv: inherited } = this.#deps;
    const stepSpec = stepSpecOf({
      inherited,
      spec,
      step,
      paths: this.#paths,
      slot,
      scratch: this.#deps.scratch.make(spec.run, slot),
      hostSetup: hostSetupOf(this.#deps.stateDir, spec),
      resources,
      budgetMs,
      graceMs: stop?.graceMs ?? step.graceMs ?? spec.graceMs,
      checkpoint: this.#files.checkpoint(),
      logLimitBytes: this.#output.begin(step, this.#stepDir(step)),
    });
    const before = logBytesOf(this.state());
    const handle = supervisor.start(
      this.#stepDir(step),
      stepSpec,
      this.#events(index, step, before),
    );
    this.#handles.set(index, handle);
    this.#files.watch();
    // Decided while it was prepared: it runs only to be ended, so that its end is proven.
    const isOver = stop !== null || verdict !== null || endsWithRamp(this.state(), step.step);
    if (isOver && step.step !== 'teardown') handle.stop(stop?.now === true ? { now: true } : {});
  }

  /** What listens to a step from its start or its adoption on. */
  #events(index: number, step: StepSpec, before: number): StepEvents {
    return this.#meter.watch(this.#stepDir(step), {
      onStarted: (pid) => {
        if (step.step === 'run') this.#asker.health.begin();
        this.post({ kind: 'step_started', index, pid });
        // Not before: a service that is ready at once would have begun untold.
        this.#asker.watch(index, this.#stepDir(step));
        // What it reports is told after its start.
        this.#report.follow();
      },
      onOutput: () => {
        this.#asker.onOutput(index);
        this.#output.wake(this.#source(step, before));
      },
      onEnd: (outcome) => {
        this.#onStepEnd(index, step, outcome);
      },
      onGone: (outcome) => {
        this.#survivors.onGone(step.id, outcome);
      },
    });
  }

  #onStepEnd(index: number, step: StepSpec, outcome: StepOutcome): void {
    const handle = this.#handles.get(index) ?? null;
    this.#handles.delete(index);
    this.#asker.forget(index);
    if (step.step === 'run') this.#asker.health.end();
    const before = logBytesOf(this.state());
    this.#output.endStep(this.#source(step, before), outcome.logBytes);
    if (step.service === undefined) this.#report.endStep();
    const isFailed = outcome.end.kind !== 'exited' || outcome.end.code !== 0;
    const isRead = isFailed || outcome.deadline || step.service !== undefined;
    const said = isRead ? stderrEnd(this.#stepDir(step), outcome.logBytes) : null;
    this.post({
      kind: 'step_ended',
      index,
      outcome,
      lastLine: said?.lastLine ?? null,
      ...(said === null ? {} : { stderrTail: said.tail }),
    });
    this.#survivors.onEnd(step.id, outcome, handle);
  }

  async #adopt(index: number, step: StepSpec): Promise<void> {
    const before = logBytesOf(this.state());
    const events = this.#events(index, step, before);
    this.#output.adopt(step, this.#stepDir(step));
    const start = startOf(this.state(), index);
    const known =
      start === null ? undefined : knownStart(this.#paths.work, { step: step.id, ...start });
    const found = await this.#deps.supervisor.adopt(this.#stepDir(step), events, known);
    if (this.#isClosed) {
      if (found.kind === 'alive') found.handle.detach();
      return;
    }
    this.#log.info({ step: step.id, found: found.kind }, 'step adopted');
    switch (found.kind) {
      case 'alive':
        this.#handles.set(index, found.handle);
        this.#asker.watch(index, this.#stepDir(step));
        this.#meter.begin(this.#stepDir(step));
        this.#files.watch();
        if (step.step === 'run') this.#asker.health.begin();
        this.#report.follow();
        this.post({ kind: 'step_adopted', index, alive: true, pid: found.handle.pid });
        this.#output.wake(this.#source(step, before));
        return;
      case 'ended':
        this.post({ kind: 'step_adopted', index, alive: false, pid: null });
        this.#onStepEnd(index, step, found.outcome);
        return;
      case 'not_started':
        this.post({ kind: 'step_not_started', index });
        return;
    }
  }

  #stepDir(step: StepSpec): string {
    return stepDir(this.#paths.work, step.id);
  }

  #source(step: StepSpec, before: number): OutputSource {
    return { id: step.id, dir: this.#stepDir(step), before };
  }

  #extract(): void {
    const { metrics, problems } = this.#output.extract(this.#paths.work);
    void this.#files.missing().then((missing) => {
      this.post({ kind: 'extracted', metrics, problems, missing });
    }, this.#deps.onBug);
  }

  #onStepsOver(): void {
    this.#files.close();
    this.#report.end();
    this.#output.forgetMetrics();
  }

  async #finish(): Promise<void> {
    const { spec } = this.state();
    const keepsFiles = spec.files.length > 0 || spec.checkpoints.length > 0;
    const filesLost = keepsFiles ? await this.#files.finish() : [];
    await this.#output.whenStoredSoon();
    this.post({ kind: 'finished', ...this.#output.losses, filesLost });
  }

  /** Not before its survivors are gone: the ledger's entry is what keeps the fence over a restart. */
  #leaveWhenShipped(): void {
    this.#isLeaving = true;
    if (isFenced(this.state())) return;
    const bytes = logBytesOf(this.state());
    if (this.#output.isStored(bytes)) {
      this.#leave();
      return;
    }
    void this.#output.whenStored().then(() => {
      if (this.#isClosed || !this.#output.isStored(bytes)) return;
      this.#deps.ledger.write({ t: 'shipped', key: this.key });
      this.#leave();
    });
  }

  #leave(): void {
    const { supervisor, onGone } = this.#deps;
    for (const dir of spareFolders(this.state(), this.#paths)) supervisor.releaseFolder(dir);
    onGone(this.key);
  }
}
