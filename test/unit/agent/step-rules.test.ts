/** Class `oom`: what the kernel killed for want of memory, and only that. */
import { describe, expect, it } from 'vitest';
import { verdictOf } from '#agent/attempt/rules/step-rules.ts';
import type { StepOutcome } from '#agent/process/types.ts';
import { EXITED, outcomeOf, stepOf } from './attempt-cases.ts';

const killedBy = (signal: string, oomKills: number | null): StepOutcome =>
  outcomeOf({ kind: 'signaled', signal, core: false }, { oomKills });
const exited = (code: number, oomKills: number | null): StepOutcome =>
  outcomeOf(EXITED(code), { oomKills });
const step = stepOf('run');

describe('the class of a failed step', () => {
  it.each([
    ['killed for memory', killedBy('SIGKILL', 1), 'oom'],
    ['a shell whose command was', exited(137, 2), 'oom'],
    ['killed by somebody else', killedBy('SIGKILL', 0), 'signal'],
    ['killed where memory is not told of', killedBy('SIGKILL', null), 'signal'],
    ['a shell where it is not', exited(137, null), 'exit'],
    ['a crash, after losing a process it could do without', killedBy('SIGSEGV', 1), 'signal'],
    ['a status of its own, likewise', exited(1, 1), 'exit'],
    ['killed at its time limit', { ...killedBy('SIGKILL', 1), deadline: true }, 'timeout'],
  ])('%s', (_, outcome, expected) => {
    expect(verdictOf(step, outcome, null)?.class).toBe(expected);
  });

  it('says which limit it was that sends a signal', () => {
    const big = killedBy('SIGXFSZ', null);
    const limited = { ...step, limits: { each: { fileSize: 1024 } } };
    expect(verdictOf(limited, big, null)?.reason).toMatch(
      /killed by SIGXFSZ: a file was to grow beyond the limit fileSize$/,
    );
    expect(verdictOf(step, big, null)?.reason).toMatch(/killed by SIGXFSZ$/);
  });

  it('says so, and a step that passed did', () => {
    const reason = verdictOf(step, killedBy('SIGKILL', 1), 'last words')?.reason;
    expect(reason).toMatch(
      /killed by SIGKILL: the kernel killed it for want of memory: last words$/,
    );
    expect(verdictOf(step, exited(0, 1), null)).toBeNull();
  });
});
