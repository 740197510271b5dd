/**
 * A rank of a gang waits for the others before a step. Pure, as attempt-reducer.ts.
 *
 *   startStep -> at the barrier: ready --(go)--> until the common start --> the step
 *
 * 1. `ready` is said once; the go comes by a command of its own, in the journal before it is acknowledged,
 *    so a restart of anybody in between loses neither (I8).
 * 2. Clocks of hosts differ: the common start is looked at by this host's own, and nobody waits longer than
 *    the go says, so that a wrong clock costs that at most.
 * 3. What ends a step ends the wait: a stop, the budget, a service that has ended.
 */
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { AttemptMessage, AttemptState } from '../attempt-state.ts';
import { decide } from './end-rules.ts';
import { onRampOver, openStage } from './ramp-rules.ts';
import type { Turn } from './turn.ts';

type Of<K extends AttemptMessage['kind']> = Extract<AttemptMessage, { kind: K }>;

function isDue({ spec, opened = [] }: AttemptState, { id }: StepSpec): boolean {
  if (spec.gang?.barriers.includes(id) !== true || opened.includes(id)) return false;
  // Of a rank that replaces a lost one: the others have begun it.
  return spec.gang.opened?.includes(id) !== true;
}

/** True where the step has to wait. */
export function waitsAtBarrier(turn: Turn, index: number): boolean {
  const step = turn.state.spec.steps[index];
  if (step === undefined || !isDue(turn.state, step)) return false;
  turn.keep({ life: { kind: 'barrier', index, go: null } });
  turn.emit('attempt.ready', { elapsedMs: turn.elapsedMs(), barrier: step.id });
  wait(turn);
  return true;
}

/** Until the start that everybody has in common, or as long as the budget lasts. */
export function wait(turn: Turn): void {
  const { life } = turn.state;
  if (life.kind !== 'barrier') return;
  const { index, go } = life;
  if (go !== null) {
    const left = go.startMs - turn.now.wallMs;
    turn.effect({ kind: 'wait', index, forMs: Math.max(0, Math.min(left, go.withinMs)) });
    return;
  }
  const left = leftOf(turn);
  if (left !== null) turn.effect({ kind: 'wait', index, forMs: Math.max(0, left) });
}

/** Of the attempt's own budget; a step's own limit counts from its start. */
function leftOf(turn: Turn): number | null {
  const { spec, hostSetupMs = 0 } = turn.state;
  return spec.budgetMs === null ? null : spec.budgetMs - (turn.elapsedMs() - hostSetupMs);
}

/**
 * Of a barrier that is open already, or is not reached, it changes nothing, but for the stages of a ramp
 * (ramp-rules.ts). True where the step is left out.
 */
export function onGo(turn: Turn, { barrier, kind: _, ...go }: Of<'go'>): boolean {
  const { life, spec } = turn.state;
  if (life.kind !== 'barrier' && life.kind !== 'stepping') return false;
  if (spec.steps[life.index]?.id !== barrier) return false;
  if (go.over !== undefined) return onRampOver(turn);
  openStage(turn, go);
  if (life.kind !== 'barrier' || life.go !== null) return false;
  const { startMs, withinMs } = go;
  turn.keep({ life: { ...life, go: { startMs, withinMs } } });
  wait(turn);
  return false;
}

/** What it does next, when a wait is over. */
export type AfterWait = 'step' | 'over' | 'nothing';

export function onWaited(turn: Turn, { index }: Of<'waited'>): AfterWait {
  const { life, spec, opened = [] } = turn.state;
  const step = spec.steps[index];
  if (life.kind !== 'barrier' || life.index !== index || step === undefined) return 'nothing';
  if (life.go !== null) {
    turn.keep({ opened: [...opened, step.id] });
    return 'step';
  }
  const left = leftOf(turn);
  if (left === null || left > 0) return 'nothing';
  decide(turn, {
    outcome: 'timed_out',
    stage: step.step,
    class: 'timeout',
    reason: `the attempt's budget of ${spec.budgetMs ?? 0} ms was used up while it waited for the other ranks`,
  });
  return 'over';
}
