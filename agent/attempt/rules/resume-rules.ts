/** An agent came back and found the attempt in its journal (I8). Pure, as attempt-reducer.ts. */
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { givenOf, type AttemptMessage } from '../attempt-state.ts';
import { wait } from './barrier-rules.ts';
import { freeIfGone } from './fence-rules.ts';
import { endsWithRamp, watchStage } from './ramp-rules.ts';
import { graceOf, runningIn } from './service-rules.ts';
import { budgetOf } from './step-rules.ts';
import type { Turn } from './turn.ts';

type Of<K extends AttemptMessage['kind']> = Extract<AttemptMessage, { kind: K }>;

export function onResume(turn: Turn, message: Of<'resume'>): void {
  const { life, spec, bootId, originMs, elapsedMs } = turn.state;
  if (bootId !== message.bootId) {
    const moved = originMs === null ? null : turn.now.monotonicMs - elapsedMs;
    turn.keep({ bootId: message.bootId, originMs: moved });
  }
  // It may have ended between the word and the file.
  if (spec.gang !== undefined) turn.effect({ kind: 'write_peers' });
  for (const index of runningIn(turn.state)) {
    const step = spec.steps[index];
    if (step?.check !== undefined) resumeCheck(turn, index, step);
    else if (step !== undefined) turn.effect({ kind: 'adopt_step', index, step });
  }
  switch (life.kind) {
    case 'new':
    case 'queued':
    case 'exited':
    case 'closing':
      return;
    case 'stepping':
      watchStage(turn);
      return;
    case 'barrier':
      watchStage(turn);
      wait(turn);
      return;
    case 'collecting':
      turn.effect({ kind: 'extract' });
      return;
    case 'finishing':
      freeIfGone(turn);
      turn.effect({ kind: 'finish' });
      return;
  }
}

/** It ended with the agent that made it: it is made again. */
function resumeCheck(turn: Turn, index: number, step: StepSpec): void {
  const budgetMs = budgetOf(turn.state, step, turn.elapsedMs());
  turn.effect({ kind: 'run_check', index, step, budgetMs });
  const { stop } = turn.state;
  if (stop !== null)
    turn.effect({ kind: 'stop_step', index, graceMs: stop.graceMs, now: stop.now });
}

export function onStepAdopted(turn: Turn, message: Of<'step_adopted'>): void {
  const { life, stop, spec } = turn.state;
  const { index, pid, alive } = message;
  if (!runningIn(turn.state).includes(index)) return;
  if (life.kind === 'stepping' && life.index === index && !life.announced)
    announce(turn, index, pid);
  const step = spec.steps[index]?.step ?? null;
  turn.emit('attempt.adopted', { elapsedMs: turn.elapsedMs(), step, alive });
  // What was to end when the agent died is to end still; a verdict ends the step it found running.
  if (stop !== null)
    turn.effect({ kind: 'stop_step', index, graceMs: stop.graceMs, now: stop.now });
  else if (
    life.kind === 'closing' ||
    (turn.state.verdict !== null && step !== 'teardown') ||
    endsWithRamp(turn.state, step)
  )
    turn.effect({ kind: 'stop_step', index, graceMs: graceOf(turn.state, index), now: false });
}

export function announce(turn: Turn, index: number, pid: number | null): void {
  const step = turn.state.spec.steps[index];
  if (step === undefined) return;
  turn.emit('attempt.step_started', {
    elapsedMs: turn.elapsedMs(),
    step: step.step,
    id: step.id,
    pid,
    ...(turn.state.steps.length === 0 ? givenOf(turn.state) : {}),
  });
  turn.set({ life: { kind: 'stepping', index, announced: true, pid } });
}
