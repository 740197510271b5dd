/**
 * One step on a simulated host: asked for -> begun -> ended, and perhaps survivors after that. It runs as
 * it likes, is stopped by signals, by its budget with the agent dead, or with its host.
 */
import { notStartedOutcome } from '#agent/process/record/step-outcome.ts';
import type { StepEnd, StepEvents, StepOutcome, StepSpec } from '#agent/process/types.ts';
import { rankKey } from '../checks/gang-checks.ts';
import type { Machine } from './machine.ts';
import type { Cancel, Owner } from './world.ts';

export type StepPhase = 'asked' | 'running' | 'ended' | 'never';

export class Step {
  readonly dir: string;
  readonly spec: StepSpec;
  readonly run: string;
  readonly task: string;
  readonly n: number;
  phase: StepPhase = 'asked';
  pid: number | null = null;
  /** How often its program was executed. */
  begun = 0;
  outcome: StepOutcome | null = null;
  readonly #machine: Machine;
  #listener: { readonly events: StepEvents; readonly owner: Owner | null } | null = null;
  #survivors: readonly number[] = [];
  #stop: { readonly sinceMs: number; graceMs: number } | null = null;
  #isByDeadline = false;
  #begunAtMs = 0;
  readonly #timers: Cancel[] = [];

  constructor(machine: Machine, dir: string, spec: StepSpec) {
    this.#machine = machine;
    this.dir = dir;
    this.spec = spec;
    this.run = spec.env['BENCHMESH_RUN'] ?? '';
    this.task = spec.env['BENCHMESH_TASK'] ?? '';
    this.n = Number(spec.env['BENCHMESH_ATTEMPT'] ?? 0);
  }

  get key(): string {
    const attempt = `${this.run}/${this.task}#${this.n}`;
    const isRank = this.spec.env['BENCHMESH_RANK'] !== undefined;
    return isRank ? rankKey(attempt, this.#machine.id) : attempt;
  }

  /** A process of it lives. */
  get isAlive(): boolean {
    return this.phase === 'running' || this.#survivors.length > 0;
  }

  /** Those of an ended step that no signal ends. */
  get survivors(): readonly number[] {
    return this.#survivors;
  }

  /** Its own program has been told to end. */
  get isStopped(): boolean {
    return this.#stop !== null;
  }

  listen(events: StepEvents | null): void {
    this.#listener = events === null ? null : { events, owner: this.#machine.world.current };
  }

  /** meshrun was asked to run it; an agent that dies at once may have died before it could. */
  ask(): void {
    const { world } = this.#machine;
    const { current } = world;
    const isHanded = world.chance(0.5);
    this.#later(world.between(0.2, 8), () => {
      if (this.phase !== 'asked') return;
      if (current?.isAlive === false && !isHanded) this.phase = 'never';
      else this.#begin();
    });
  }

  #begin(): void {
    const machine = this.#machine;
    const { world, temper } = machine;
    if (world.chance(temper.unexecutable)) {
      this.#end(notStartedOutcome('ENOENT', 'not-found', 'no such program'));
      return;
    }
    machine.pids += 1;
    this.phase = 'running';
    this.pid = machine.pids;
    this.begun += 1;
    this.#begunAtMs = world.nowMs;
    machine.hooks.onBegun(machine, this);
    const { pid } = this;
    this.#tell((events) => events.onStarted?.(pid));
    this.#later(world.between(1, temper.longestMs) * world.random(), () => {
      this.#endsByItself();
    });
    const { budgetMs } = this.spec;
    if (budgetMs !== null) {
      this.#later(budgetMs, () => {
        if (this.phase !== 'running' || this.#stop !== null) return;
        this.#isByDeadline = true;
        this.stop(this.spec.graceMs);
      });
    }
    if (this.#stop !== null) this.#signal();
  }

  #endsByItself(): void {
    const { world, temper } = this.#machine;
    if (this.phase !== 'running') return;
    const dies = world.chance(temper.lost);
    if (dies)
      this.#died({ kind: 'lost', reason: 'meshrun ended without a record of the end' }, 'SIGKILL');
    else if (!world.chance(temper.failing)) this.#died({ kind: 'exited', code: 0 }, null);
    else if (world.chance(0.5)) this.#died({ kind: 'exited', code: 3 }, null);
    else this.#died({ kind: 'signaled', signal: 'SIGSEGV', core: false }, null);
  }

  /** 0: at once. */
  stop(graceMs: number): void {
    const { world } = this.#machine;
    if (this.phase === 'ended' || this.phase === 'never') return;
    if (this.#stop !== null && this.#stop.graceMs <= graceMs) return;
    this.#stop = { sinceMs: this.#stop?.sinceMs ?? world.nowMs, graceMs };
    if (this.phase === 'running') this.#signal();
  }

  #signal(): void {
    const { world, temper } = this.#machine;
    const { graceMs = 0, sinceMs = 0 } = this.#stop ?? {};
    if (graceMs > 0 && !world.chance(temper.ignoringTerm))
      this.#later(world.between(0.5, Math.min(graceMs, 60)), () => {
        this.#killed('SIGTERM');
      });
    this.#later(Math.max(0, sinceMs + graceMs - world.nowMs) + 1, () => {
      this.#killed('SIGKILL');
    });
  }

  #killed(signal: string): void {
    if (this.phase !== 'running') return;
    this.#died({ kind: 'signaled', signal, core: false }, signal);
  }

  #died(end: StepEnd, signal: string | null): void {
    const { world, temper } = this.#machine;
    const isStuck = signal === 'SIGKILL' && world.chance(temper.unkillable);
    if (isStuck && this.pid !== null) {
      this.#survivors = [this.pid];
      this.#end(this.#outcomeOf(end, signal));
      this.#later(world.between(50, 20_000), () => {
        this.#survivorsGone();
      });
    } else this.#end(this.#outcomeOf(end, signal));
  }

  #survivorsGone(): void {
    if (this.#survivors.length === 0 || this.outcome === null) return;
    this.#survivors = [];
    this.outcome = { ...this.outcome, gone: { ...this.outcome.gone, empty: true, survivors: [] } };
    this.#machine.hooks.onDead(this.#machine, this);
    const { outcome } = this;
    this.#tell((events) => events.onGone?.(outcome));
  }

  #end(outcome: StepOutcome): void {
    const wasBegun = this.phase === 'running';
    this.phase = 'ended';
    this.outcome = outcome;
    for (const timer of this.#timers.splice(0)) timer.cancel();
    if (wasBegun && !this.isAlive) this.#machine.hooks.onDead(this.#machine, this);
    this.#tell((events) => {
      events.onEnd(outcome);
    });
  }

  /** The host went down: nothing of it is left, which is certain as soon as another boot asks. */
  onHostDeath(): void {
    this.#listener = null;
    if (this.phase === 'asked') {
      this.phase = 'never';
      return;
    }
    const wasAlive = this.isAlive;
    this.#survivors = [];
    for (const timer of this.#timers.splice(0)) timer.cancel();
    if (this.phase === 'running') {
      this.phase = 'ended';
      this.outcome = this.#outcomeOf({ kind: 'lost', reason: 'the host was rebooted' }, null);
    } else if (this.outcome !== null)
      this.outcome = {
        ...this.outcome,
        gone: { ...this.outcome.gone, empty: true, survivors: [] },
      };
    if (wasAlive) this.#machine.hooks.onDead(this.#machine, this);
  }

  #outcomeOf(end: StepEnd, signal: string | null): StepOutcome {
    const { nowMs } = this.#machine.world;
    const survivors = [...this.#survivors];
    return {
      end,
      deadline: this.#isByDeadline,
      stopRequested: this.#stop !== null,
      durationMs: end.kind === 'lost' ? null : nowMs - this.#begunAtMs,
      usage: null,
      oomKills: null,
      gone: {
        proof: 'subreaper',
        empty: survivors.length === 0,
        processes: this.#stop === null ? 0 : 1,
        reaped: 1,
        waves: this.#stop === null ? 0 : 1,
        survivors,
        signal,
        goneMs: this.#stop === null ? null : nowMs - this.#stop.sinceMs,
      },
      logBytes: 0,
      droppedBytes: 0,
    };
  }

  #later(delayMs: number, run: () => void): void {
    const { boot, world } = this.#machine;
    const timer = world.after(
      delayMs,
      () => {
        if (this.#machine.boot === boot && this.#machine.isUp) run();
      },
      null,
    );
    this.#timers.push(timer);
  }

  #tell(say: (events: StepEvents) => void): void {
    const listener = this.#listener;
    const { world } = this.#machine;
    if (listener === null) return;
    world.after(
      world.between(0.05, 2),
      () => {
        if (this.#listener === listener) say(listener.events);
      },
      listener.owner,
    );
  }
}
