/**
 * What an attempt holds is freed when its steps are over and no survivor of them lives, which may be
 * after `exited` (I5). Pure, as attempt-reducer.ts.
 */
import type { StepOutcome } from '../../process/types.ts';
import { isFenced } from '../attempt-state.ts';
import type { Turn } from './turn.ts';

export function fence(turn: Turn, step: string, { gone }: StepOutcome): void {
  if (gone.survivors.length > 0) turn.keep({ fencedBy: [...(turn.state.fencedBy ?? []), step] });
}

export function onStepGone(turn: Turn, gone: string): void {
  if (!isFenced(turn.state)) return;
  turn.keep({ fencedBy: (turn.state.fencedBy ?? []).filter((step) => step !== gone) });
  const { kind } = turn.state.life;
  if (kind === 'finishing' || kind === 'exited') freeIfGone(turn);
}

export function freeIfGone(turn: Turn): void {
  if (!isFenced(turn.state)) turn.effect({ kind: 'free' });
}
