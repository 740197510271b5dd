/** What the end of a step means for its attempt, and how long a step may take. Pure. */
import type { LostFile } from '#protocol/messages/attempt/attempt.ts';
import { requiredAmong } from '../../files/result-rules.ts';
import type { StepResult } from '#protocol/messages/attempt/attempt.ts';
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { isDiskTrouble } from '../../process/record/errno.ts';
import type { StepEnd, StepOutcome } from '../../process/types.ts';
import type { AttemptState, Verdict } from '../attempt-state.ts';

/** Least time a teardown gets when the attempt's budget is used up. */
const TEARDOWN_LEAST_MS = 10_000;

/** A service may live so much longer than the budget: the step that needs it must be the one it ends. */
const SERVICE_MORE_MS = 5_000;

/**
 * How long the step may take: its own limit or what is left of the attempt's, whichever is less.
 * What prepares the host is not the attempt's own time. A teardown is not cut by the attempt's budget; after a stop it has no more than the grace.
 */
export function budgetOf(state: AttemptState, step: StepSpec, elapsedMs: number): number | null {
  const { spec, stop, hostSetupMs = 0 } = state;
  if (step.hostSetup !== undefined) return step.timeoutMs;
  const left = spec.budgetMs === null ? null : spec.budgetMs - (elapsedMs - hostSetupMs);
  if (step.step === 'teardown') {
    const least = Math.max(TEARDOWN_LEAST_MS, spec.graceMs);
    const bounded =
      stop !== null ? Math.max(1, stop.graceMs) : left === null ? null : Math.max(left, least);
    return smaller(step.timeoutMs, bounded);
  }
  // Where the agent is dead, its supervisor ends the service too.
  if (step.service !== undefined)
    return left === null || left <= 0 ? left : left + spec.graceMs + SERVICE_MORE_MS;
  return smaller(step.timeoutMs, left);
}

function smaller(a: number | null, b: number | null): number | null {
  if (a === null) return b === null ? null : Math.ceil(b);
  return b === null ? Math.ceil(a) : Math.ceil(Math.min(a, b));
}

export function resultOf(step: StepSpec, outcome: StepOutcome): StepResult {
  const { end, gone, usage } = outcome;
  return {
    step: step.step,
    id: step.id,
    end: end.kind,
    code: end.kind === 'exited' ? end.code : null,
    signal: end.kind === 'signaled' ? end.signal : null,
    deadline: outcome.deadline,
    durationMs: outcome.durationMs ?? 0,
    userMs: usage?.userMs ?? 0,
    systemMs: usage?.systemMs ?? 0,
    maxRssKiB: usage?.maxRssKiB ?? 0,
    logBytes: outcome.logBytes,
    proof: gone.proof,
    proven: gone.empty,
    processes: gone.processes,
    survivors: [...gone.survivors],
  };
}

/** Null when the step did what it should. */
export function verdictOf(
  step: StepSpec,
  outcome: StepOutcome,
  lastLine: string | null,
): Verdict | null {
  const { end } = outcome;
  const stage = step.step;
  if (end.kind === 'lost') {
    return { outcome: 'lost', stage, class: 'lost', reason: end.reason };
  }
  if (end.kind === 'exited' && end.code === 0 && !outcome.deadline) return null;
  const reason = withLine(describe(step, outcome), lastLine);
  if (step.step === 'preflight') {
    return {
      outcome: step.onFail === 'skip' ? 'skipped' : 'failed',
      stage,
      class: 'preflight',
      reason: step.message ?? reason,
    };
  }
  if (outcome.deadline) return { outcome: 'timed_out', stage, class: 'timeout', reason };
  if (end.kind === 'exec_failed') {
    const kind = isDiskTrouble(end.errno) ? 'disk' : 'exec';
    return { outcome: 'failed', stage, class: kind, reason };
  }
  if (isOom(outcome)) return { outcome: 'failed', stage, class: 'oom', reason };
  return { outcome: 'failed', stage, class: end.kind === 'signaled' ? 'signal' : 'exit', reason };
}

/** A service never ends by itself as it should, whatever its status. */
export function serviceVerdictOf(
  step: StepSpec,
  outcome: StepOutcome,
  said: { readonly when: string; readonly lastLine: string | null },
): Verdict {
  const { outcome: end = 'failed', class: kind = 'exit' } = verdictOf(step, outcome, null) ?? {};
  const reason = withLine(`${describe(step, outcome)} ${said.when}`, said.lastLine);
  return { outcome: end, stage: step.step, class: kind, reason };
}

/** What a shell makes of a command that was killed by KILL. */
const KILLED_STATUS = 128 + 9;

/**
 * The kernel has killed processes of it for want of memory, and it was killed or says that what it ran
 * was: what ends so by itself may have lost a process that it could do without.
 */
function isOom({ end, oomKills }: StepOutcome): boolean {
  if (oomKills === null || oomKills === 0) return false;
  if (end.kind === 'signaled') return end.signal === 'SIGKILL';
  return end.kind === 'exited' && end.code === KILLED_STATUS;
}

/** What its steps do not tell. */
export interface AttemptRest {
  readonly isOutputRefused: boolean;
  readonly filesLost: readonly LostFile[];
}

/**
 * What is told in the end. A required result that could not be kept takes "passed" away. Output that the disk refused takes "passed" away: nobody could say what
 * was measured. The suite's own log limit does not: the suite has set it.
 */
export function finalVerdict(state: AttemptState, end: AttemptRest): Verdict {
  const verdict = state.verdict ?? { outcome: 'passed', stage: null, class: null, reason: null };
  if (verdict.outcome !== 'passed') return verdict;
  const lacking = requiredAmong(state.spec, end.filesLost);
  if (lacking !== null)
    return { outcome: 'failed', stage: 'collect', class: 'result', reason: lacking };
  if (!end.isOutputRefused) return verdict;
  const reason =
    "output was lost: the disk of the agent's state folder is full, or does not take it";
  return { outcome: 'failed', stage: 'run', class: 'disk', reason };
}

/** A clean-up that failed is a field of its own (I3). */
export function teardownFailureOf(
  step: StepSpec,
  outcome: StepOutcome,
  lastLine: string | null,
): string | null {
  const { end } = outcome;
  if (end.kind === 'exited' && end.code === 0 && !outcome.deadline) return null;
  return withLine(describe(step, outcome), lastLine);
}

function describe(step: StepSpec, outcome: StepOutcome): string {
  if (outcome.deadline) return `${step.id}: the time limit ended it (${endOf(outcome.end)})`;
  const memory = isOom(outcome) ? ': the kernel killed it for want of memory' : '';
  return `${step.id}: ${endOf(outcome.end)}${memory}`;
}

function endOf(end: StepEnd): string {
  switch (end.kind) {
    case 'exited':
      return `exit status ${end.code}`;
    case 'signaled':
      return `killed by ${end.signal}`;
    case 'exec_failed':
      return end.message;
    case 'lost':
      return end.reason;
  }
}

function withLine(text: string, lastLine: string | null): string {
  return lastLine === null ? text : `${text}: ${lastLine}`;
}
