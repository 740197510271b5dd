/**
 * What an attempt holds is freed when its steps are over and no survivor of them lives, which may be
 * after `exited` (I5). Pure, as attempt-reducer.ts.
 */
import type { StepOutcome } from '../../process/types.ts';
import { isFenced, survivorsOf } from '../attempt-state.ts';
import type { Turn } from './turn.ts';

export function fence(turn: Turn, step: string, { gone }: StepOutcome): void {
  if (gone.survivors.length > 0) turn.keep({ fencedBy: [...(turn.state.fencedBy ?? []), step] });
}

export function onStepGone(turn: Turn, gone: string): void {
  if (!isFenced(turn.state)) return;
  turn.keep({ fencedBy: (turn.state.fencedBy ?? []).filter((step) => step !== gone) });
  const { kind } = turn.state.life;
  if (kind === 'exited') saySurvivorsGone(turn);
  if (kind === 'finishing' || kind === 'exited') freeIfGone(turn);
}

/** `exited` has named them: who waits for what they hold hears that it is free. */
export function saySurvivorsGone(turn: Turn): void {
  const survivors = survivorsOf(turn.state);
  if (survivors.length === 0 || isFenced(turn.state)) return;
  turn.emit('attempt.survivors_gone', { elapsedMs: turn.elapsedMs(), survivors });
}

export function freeIfGone(turn: Turn): void {
  if (!isFenced(turn.state)) turn.effect({ kind: 'free' });
}
