/**
 * The world around one attempt's reducer: it starts what it is asked to, ends things as it likes, and
 * notes whatever must never be asked of it. Processes outlive the agent, its checks do not.
 */
import { updateAttempt } from '#agent/attempt/attempt-reducer.ts';
import {
  newAttempt,
  type AttemptEffect,
  type AttemptMessage,
  type AttemptState,
} from '#agent/attempt/attempt-state.ts';
import type { AttemptSpec, StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { StepEnd } from '#agent/process/types.ts';
import { EXITED, outcomeOf } from './attempt-cases.ts';

interface Running {
  readonly index: number;
  /** The agent has heard that it started. */
  isHeard: boolean;
  isTold: boolean;
}

export type Act =
  | {
      readonly kind: 'end';
      readonly pick: number;
      readonly end: StepEnd;
      readonly deadline: boolean;
    }
  | { readonly kind: 'hear' | 'ready' | 'unready'; readonly pick: number }
  | { readonly kind: 'stop'; readonly now: boolean; readonly isPause: boolean }
  | { readonly kind: 'health' | 'answer' }
  | { readonly kind: 'restart'; readonly found: 'alive' | 'ended' | 'not_started' }
  | { readonly kind: 'wait'; readonly ms: number };

export class AttemptWorld {
  state: AttemptState;
  readonly problems: string[] = [];
  readonly started = new Set<number>();
  exits = 0;
  wasKilledNow = false;
  readonly #running = new Map<number, Running>();
  #asked: 'extract' | 'finish' | null = null;
  #nowMs = 0;
  #stops = 0;

  constructor(spec: AttemptSpec) {
    this.state = newAttempt({ spec, command: 'c', bootId: 'b', proof: 'subreaper' });
    this.#say({ kind: 'accept', host: 'h', address: 'a' });
    this.#say({ kind: 'begin', slots: [0] });
  }

  act(act: Act): void {
    switch (act.kind) {
      case 'end': {
        const one = this.#pick(act.pick);
        if (one !== undefined) this.#end(one, act.end, act.deadline);
        return;
      }
      case 'hear': {
        const one = this.#pick(act.pick);
        if (one === undefined || this.#step(one).check !== undefined) return;
        one.isHeard = true;
        this.#say({ kind: 'step_started', index: one.index, pid: 7 });
        return;
      }
      case 'ready':
      case 'unready': {
        const one = this.#pick(act.pick);
        if (one === undefined || this.#step(one).service === undefined) return;
        one.isHeard = true;
        const { index } = one;
        this.#say({ kind: 'step_started', index, pid: 7 });
        if (act.kind === 'ready') this.#say({ kind: 'service_ready', index, afterMs: 5 });
        else this.#say({ kind: 'service_unready', index, reason: 'no answer' });
        return;
      }
      case 'stop': {
        const command = `s${(this.#stops += 1)}`;
        const order = { command, by: 'x', reason: null, graceMs: null, now: act.now };
        // What has nothing left but its files is not hurried.
        if (act.now && this.state.life.kind !== 'finishing') this.wasKilledNow = true;
        const running = [...this.#running.values()].filter((one) => !this.#isTeardown(one));
        this.#say({ kind: 'stop', stop: { ...order, ...(act.isPause ? { isPause: true } : {}) } });
        for (const one of running)
          if (!one.isTold) this.problems.push(`a stop does not reach step ${one.index}`);
        return;
      }
      case 'health':
        this.#say({
          kind: 'health',
          changes: [{ rule: 'r', state: 'failing', then: 'fail', reason: 'silent' }],
        });
        return;
      case 'answer':
        this.#answer();
        return;
      case 'restart':
        this.#restart(act.found);
        return;
      case 'wait':
        this.#nowMs += act.ms;
        return;
    }
  }

  /** Everything ends as it is asked to: nothing may be waited for in vain. */
  settle(): void {
    for (let round = 0; round < 200; round += 1) {
      if (this.state.life.kind === 'exited') return;
      const running = [...this.#running.values()];
      const next = running.find((one) => one.isTold || this.#step(one).service === undefined);
      if (this.#asked !== null) this.#answer();
      else if (next !== undefined) this.#end(next, EXITED(0), false);
      else if (!this.#makeReady()) break;
    }
    if (this.state.life.kind !== 'exited') this.problems.push(`stuck in ${this.state.life.kind}`);
  }

  /** False where nothing waits for a service to be ready. */
  #makeReady(): boolean {
    const { life } = this.state;
    if (life.kind !== 'stepping' || !this.#running.has(life.index)) return false;
    this.#say({ kind: 'service_ready', index: life.index, afterMs: 5 });
    return true;
  }

  #answer(): void {
    const asked = this.#asked;
    this.#asked = null;
    if (asked === 'extract') this.#say({ kind: 'extracted', metrics: [], problems: [] });
    if (asked === 'finish') this.#say({ kind: 'finished', logGaps: [] });
  }

  #end(one: Running, end: StepEnd, deadline: boolean): void {
    const { index } = one;
    this.#running.delete(index);
    if (this.#step(one).check !== undefined) {
      const isOk = end.kind === 'exited' && end.code === 0;
      const result = isOk ? { ok: true as const } : { ok: false as const, reason: 'no' };
      this.#say({ kind: 'check_ended', index, result, durationMs: 1 });
      return;
    }
    const outcome = outcomeOf(end, { deadline });
    this.#say({ kind: 'step_ended', index, outcome, lastLine: null });
  }

  /** What the agent asked for and has no answer to is asked for again. */
  #restart(found: 'alive' | 'ended' | 'not_started'): void {
    for (const one of [...this.#running.values()])
      if (this.#step(one).check !== undefined) this.#running.delete(one.index);
    this.#asked = null;
    const adopted = this.#say({ kind: 'resume', bootId: 'b' }).filter(
      (effect) => effect.kind === 'adopt_step',
    );
    for (const { index } of adopted) {
      const one = this.#running.get(index);
      if (one === undefined) {
        this.problems.push(`step ${index} is adopted and does not run`);
        continue;
      }
      if (found === 'not_started' && !one.isHeard) {
        this.#running.delete(index);
        this.started.delete(index);
        this.#say({ kind: 'step_not_started', index });
        continue;
      }
      one.isHeard = true;
      this.#say({ kind: 'step_adopted', index, alive: found === 'alive', pid: 7 });
      if (found === 'ended') this.#end(one, EXITED(0), false);
    }
  }

  #say(message: AttemptMessage): readonly AttemptEffect[] {
    this.#nowMs += 1;
    const now = { wallMs: 0, monotonicMs: this.#nowMs };
    const [next, effects] = updateAttempt(this.state, message, now);
    this.state = next;
    for (const effect of effects) this.#perform(effect);
    return effects;
  }

  #perform(effect: AttemptEffect): void {
    const note = (problem: string): void => {
      this.problems.push(problem);
    };
    switch (effect.kind) {
      case 'record':
        for (const { name } of effect.events) {
          if (this.exits > 0) note(`${name} after the end`);
          if (name === 'attempt.exited') this.exits += 1;
        }
        return;
      case 'start_step':
      case 'run_check': {
        const { index, step } = effect;
        const others = [...this.#running.values()];
        if (this.#running.has(index)) note(`step ${index} runs twice`);
        if (others.some((one) => this.#step(one).service === undefined))
          note(`step ${index} beside another`);
        if (step.step === 'teardown' && others.length > 0) note('teardown beside a service');
        const isOver = this.state.verdict !== null || this.state.stop !== null;
        // A check that died with its agent is made again, and ended at once.
        const isAgain = effect.kind === 'run_check' && this.started.has(index);
        if (step.step !== 'teardown' && isOver && !isAgain)
          note(`step ${index} begins after the verdict`);
        this.#running.set(index, { index, isHeard: false, isTold: false });
        this.started.add(index);
        return;
      }
      case 'stop_step': {
        const one = this.#running.get(effect.index);
        if (one !== undefined) one.isTold = true;
        return;
      }
      case 'extract':
      case 'finish':
        if (this.#running.size > 0) note(`${effect.kind} while something runs`);
        this.#asked = effect.kind;
        return;
      case 'free':
      case 'end':
        if (this.#running.size > 0) note(`${effect.kind} while something runs`);
        return;
      case 'say_accepted_soon':
      case 'say_stopping_soon':
      case 'wait':
      case 'write_peers':
      case 'adopt_step':
      case 'set_up':
      case 'stage':
        return;
    }
  }

  #pick(pick: number): Running | undefined {
    return [...this.#running.values()][pick % Math.max(1, this.#running.size)];
  }

  #step({ index }: Running): StepSpec {
    const step = this.state.spec.steps[index];
    if (step === undefined) throw new Error(`there is no step ${index}`);
    return step;
  }

  #isTeardown(one: Running): boolean {
    return this.#step(one).step === 'teardown';
  }
}
