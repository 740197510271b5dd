/** Small attempts and step ends for the tests of the attempt's rules. */
import type { AttemptSpec, StepName, StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import {
  newAttempt,
  type AttemptEffect,
  type AttemptMessage,
  type AttemptState,
} from '#agent/attempt/attempt-state.ts';
import { updateAttempt } from '#agent/attempt/attempt-reducer.ts';
import type { StepEnd, StepOutcome } from '#agent/process/types.ts';

export function stepOf(step: StepName, change: Partial<StepSpec> = {}): StepSpec {
  return {
    step,
    id: step,
    argv: ['true'],
    env: {},
    cwd: null,
    stdio: 'pipe',
    timeoutMs: null,
    onFail: 'fail',
    message: null,
    ...change,
  };
}

export function specOf(steps: readonly StepName[], change: Partial<AttemptSpec> = {}): AttemptSpec {
  return {
    run: '2026-01-02_03-04-05-aaaa',
    task: 't',
    n: 1,
    suite: 's',
    axes: {},
    repeat: 1,
    index: 0,
    seed: 1,
    suiteDir: null,
    steps: steps.map((step, index) => stepOf(step, { id: `${step}-${index}` })),
    phases: ['prepare', 'warmup', 'measure'],
    needs: { slots: 1, cpus: 0, exclusive: false },
    budgetMs: null,
    graceMs: 1000,
    stopSignal: 'SIGTERM',
    metrics: [],
    files: [],
    checkpoints: [],
    logLimitBytes: 1024,
    ...change,
  };
}

export function outcomeOf(end: StepEnd, change: Partial<StepOutcome> = {}): StepOutcome {
  return {
    end,
    deadline: false,
    stopRequested: false,
    durationMs: 5,
    usage: null,
    oomKills: null,
    gone: {
      proof: 'subreaper',
      empty: true,
      processes: 0,
      reaped: 1,
      waves: 0,
      survivors: [],
      signal: null,
      goneMs: null,
    },
    logBytes: 0,
    droppedBytes: 0,
    ...change,
  };
}

export const EXITED = (code: number): StepEnd => ({ kind: 'exited', code });

/** Feeds messages to one attempt and remembers what it asked for. */
export class Script {
  state: AttemptState;
  readonly effects: AttemptEffect[] = [];
  #nowMs = 1000;

  constructor(spec: AttemptSpec) {
    this.state = newAttempt({ spec, command: 'c1', bootId: 'b', proof: 'subreaper' });
    this.say({ kind: 'accept', host: 'h', address: 'a' });
  }

  say(message: AttemptMessage, laterMs = 10): readonly AttemptEffect[] {
    this.#nowMs += laterMs;
    const [next, effects] = updateAttempt(this.state, message, {
      wallMs: 0,
      monotonicMs: this.#nowMs,
    });
    this.state = next;
    this.effects.push(...effects);
    return effects;
  }

  begin(): readonly AttemptEffect[] {
    return this.say({ kind: 'begin', slots: [0] });
  }

  /** The running step ends. */
  end(
    end: StepEnd = EXITED(0),
    change: Partial<StepOutcome> = {},
    laterMs = 10,
  ): readonly AttemptEffect[] {
    const { life } = this.state;
    const index = life.kind === 'stepping' ? life.index : 0;
    return this.say(
      { kind: 'step_ended', index, outcome: outcomeOf(end, change), lastLine: null },
      laterMs,
    );
  }

  stop(command = 's1', now = false): readonly AttemptEffect[] {
    return this.say({
      kind: 'stop',
      stop: { command, by: 'me', reason: null, graceMs: null, now },
    });
  }

  events(): string[] {
    return this.effects.flatMap((effect) =>
      effect.kind === 'record' ? effect.events.map(({ name }) => name) : [],
    );
  }

  started(): string[] {
    return this.effects.flatMap((effect) =>
      effect.kind === 'start_step' ? [effect.step.step] : [],
    );
  }
}
