/**
 * The life of one attempt, pure.
 *
 * 1. Steps run in their order. The first thing that goes wrong is the verdict; later failures, of
 *    the teardown above all, never change it (I3).
 * 2. Once setup or run began, the teardown runs, unless a stop said `now`.
 * 3. A stop ends the running step; the rest but teardown is skipped. It says what it found (I5).
 * 4. Phases and progress only go forward; `exited` is emitted once and nothing after it (I3, I4).
 * 5. A step is started only from a journalled state; a restart first asks whether it ran (I8).
 */
import type { Update } from '#protocol/runtime/actor.ts';
import { hasRequired } from '../files/result-rules.ts';
import { onFileMessage } from '../files/file-rules.ts';
import type { AttemptEffect, AttemptMessage, AttemptState } from './attempt-state.ts';
import { givenOf, isProven, logBytesOf, stoppedAttempt, survivorsOf } from './attempt-state.ts';
import { fence, freeIfGone, onStepGone } from './fence-rules.ts';
import { onHealth } from './health-rules.ts';
import { onReport } from './report-rules.ts';
import { budgetOf, finalVerdict, resultOf, teardownFailureOf, verdictOf } from './step-rules.ts';
import { joined } from './stop-rules.ts';
import { Turn } from './turn.ts';

type Of<K extends AttemptMessage['kind']> = Extract<AttemptMessage, { kind: K }>;

export const updateAttempt: Update<AttemptState, AttemptMessage, AttemptEffect> = (
  state,
  message,
  now,
) => {
  if (state.life.kind === 'exited' && message.kind !== 'step_gone') return [state, []];
  const turn = new Turn(state, now);
  handle(turn, message);
  return turn.result();
};

function handle(turn: Turn, message: AttemptMessage): void {
  switch (message.kind) {
    case 'accept':
      onAccept(turn, message);
      return;
    case 'say_accepted':
      onSayAccepted(turn);
      return;
    case 'wait':
      if (turn.state.life.kind === 'queued')
        turn.emit('attempt.waiting', { elapsedMs: turn.elapsedMs(), reason: message.reason });
      return;
    case 'begin':
      onBegin(turn, message);
      return;
    case 'refuse':
      onRefuse(turn, message);
      return;
    case 'step_started':
      onStepStarted(turn, message);
      return;
    case 'step_ended':
      onStepEnded(turn, message);
      return;
    case 'step_gone':
      onStepGone(turn, message.step);
      return;
    case 'report':
      if (turn.state.life.kind !== 'queued') onReport(turn, message.facts);
      return;
    case 'health':
      onHealth(turn, message.changes);
      return;
    case 'reported':
      turn.set({ reported: message.reported });
      return;
    case 'stop':
      onStop(turn, message);
      return;
    case 'extracted':
      onExtracted(turn, message);
      return;
    case 'file_stored':
    case 'checkpointed':
    case 'checkpoint_refused':
    case 'resumed':
      onFileMessage(turn, message);
      return;
    case 'finished':
      if (turn.state.life.kind === 'finishing') exit(turn, message);
      return;
    case 'resume':
      onResume(turn, message);
      return;
    case 'step_adopted':
      onStepAdopted(turn, message);
      return;
    case 'step_not_started':
      onStepNotStarted(turn, message);
      return;
  }
}

function onAccept(turn: Turn, message: Of<'accept'>): void {
  if (turn.state.life.kind !== 'new') return;
  const { host, address } = message;
  turn.set({ life: { kind: 'queued' }, at: { host, address } });
  turn.effect({ kind: 'say_accepted_soon' });
}

/** One that has started since has said it with its first step. */
function onSayAccepted(turn: Turn): void {
  const { at, command, seq } = turn.state;
  if (seq === 0 && at !== null)
    turn.emit('attempt.accepted', { elapsedMs: turn.elapsedMs(), command, ...at });
}

function onBegin(turn: Turn, message: Of<'begin'>): void {
  if (turn.state.life.kind !== 'queued') return;
  const { slots, resources } = message;
  turn.keep({ slots, originMs: turn.now.monotonicMs, ...(resources && { resources }) });
  startStep(turn, 0);
}

function onRefuse(turn: Turn, message: Of<'refuse'>): void {
  if (turn.state.life.kind !== 'queued') return;
  turn.keep({
    verdict: {
      outcome: message.class === 'drained' ? 'skipped' : 'failed',
      stage: 'provision',
      class: message.class,
      reason: message.reason,
    },
  });
  exit(turn, { logGaps: [] });
}

function startStep(turn: Turn, index: number): void {
  const { state } = turn;
  const step = state.spec.steps[index];
  if (step === undefined) {
    finish(turn);
    return;
  }
  const budgetMs = budgetOf(state, step, turn.elapsedMs());
  if (budgetMs !== null && budgetMs <= 0) {
    decide(turn, {
      outcome: 'timed_out',
      stage: step.step,
      class: 'timeout',
      reason: `the attempt's budget of ${state.spec.budgetMs ?? 0} ms was used up before this step`,
    });
    afterSteps(turn);
    return;
  }
  turn.keep({ life: { kind: 'stepping', index, announced: false } });
  turn.effect({ kind: 'start_step', index, step, budgetMs, slot: state.slots[0] ?? 0 });
}

function onStepStarted(turn: Turn, message: Of<'step_started'>): void {
  const { life } = turn.state;
  if (life.kind !== 'stepping' || life.index !== message.index || life.announced) return;
  announce(turn, message.index, message.pid);
}

function announce(turn: Turn, index: number, pid: number | null): void {
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

function onStepEnded(turn: Turn, message: Of<'step_ended'>): void {
  const { life, spec } = turn.state;
  if (life.kind !== 'stepping' || life.index !== message.index) return;
  const step = spec.steps[life.index];
  if (step === undefined) return;
  const { outcome, lastLine } = message;
  if (!life.announced && outcome.end.kind !== 'exec_failed') announce(turn, life.index, null);
  const { stop } = turn.state;
  if (stop !== null) {
    turn.set({
      stop: {
        ...stop,
        processes: stop.processes + outcome.gone.processes,
        signal: outcome.gone.signal ?? stop.signal,
        goneMs: Math.max(stop.goneMs, turn.now.monotonicMs - stop.arrivedMs),
      },
    });
  }
  turn.keep({ steps: [...turn.state.steps, resultOf(step, outcome)] });
  fence(turn, step.id, outcome);
  if (step.step === 'teardown') {
    turn.set({
      teardownFailure: turn.state.teardownFailure ?? teardownFailureOf(step, outcome, lastLine),
    });
    next(turn, life.index);
    return;
  }
  if (stop !== null) decideStopped(turn);
  const verdict = verdictOf(step, outcome, lastLine);
  if (verdict !== null) decide(turn, verdict);
  next(turn, life.index);
}

/** The first verdict stands (I3). */
function decide(turn: Turn, verdict: NonNullable<AttemptState['verdict']>): void {
  if (turn.state.verdict === null) turn.keep({ verdict });
}

function decideStopped(turn: Turn): void {
  const reason = turn.state.stop?.reason ?? null;
  const by = turn.state.stop?.by ?? 'unknown';
  decide(turn, {
    outcome: 'stopped',
    stage: null,
    class: turn.state.stop?.givesBack === true ? 'drained' : null,
    reason: reason === null ? `stopped by ${by}` : `stopped by ${by}: ${reason}`,
  });
}

function next(turn: Turn, index: number): void {
  const following = turn.state.spec.steps[index + 1];
  const done = turn.state.spec.steps[index];
  if (done?.step === 'teardown') {
    startTeardown(turn, index + 1);
  } else if (
    turn.state.verdict === null &&
    following !== undefined &&
    following.step !== 'teardown'
  ) {
    startStep(turn, index + 1);
  } else {
    afterSteps(turn);
  }
}

/** Every step but the teardown is over: measurements first, since the teardown may remove files. */
function afterSteps(turn: Turn): void {
  const { spec, steps, verdict } = turn.state;
  const ran = steps.some((step) => step.step === 'run');
  const isWanted =
    verdict === null || verdict.outcome === 'failed' || verdict.outcome === 'timed_out';
  if ((spec.metrics.length > 0 || hasRequired(spec)) && ran && isWanted) {
    turn.keep({ life: { kind: 'collecting' } });
    turn.effect({ kind: 'extract' });
    return;
  }
  startTeardown(turn, 0);
}

function onExtracted(turn: Turn, message: Of<'extracted'>): void {
  if (turn.state.life.kind !== 'collecting') return;
  const reported = new Set(turn.state.reported?.metrics.map(({ name }) => name));
  turn.keep({ extracted: message.metrics });
  const missing = message.problems.filter((found) => found.required && !reported.has(found.metric));
  const lacks = [
    ...missing.map((found) => `metric ${found.metric}: ${found.reason}`),
    ...(message.missing ?? []).map(({ path, reason }) => `file ${path}: ${reason}`),
  ];
  if (lacks.length > 0) {
    const reason = lacks.join('; ');
    decide(turn, { outcome: 'failed', stage: 'collect', class: 'result', reason });
  }
  startTeardown(turn, 0);
}

const DIRTY: ReadonlySet<string> = new Set(['setup', 'load', 'run', 'collect']);

/** Starts the first teardown step at or after `from`, or ends the steps. */
function startTeardown(turn: Turn, from: number): void {
  const { spec, steps, stop } = turn.state;
  const index = spec.steps.findIndex((step, at) => at >= from && step.step === 'teardown');
  const isNeeded = steps.some((step) => DIRTY.has(step.step));
  const isAllowed = stop?.now !== true;
  if (index >= 0 && isNeeded && isAllowed) startStep(turn, index);
  else finish(turn);
}

function finish(turn: Turn): void {
  const { spec, steps } = turn.state;
  decide(turn, { outcome: 'passed', stage: null, class: null, reason: null });
  turn.keep({ life: { kind: 'finishing' } });
  freeIfGone(turn);
  const isStoring = spec.files.length > 0 || spec.checkpoints.length > 0;
  if (steps.length > 0 && (isStoring || logBytesOf(turn.state) > 0))
    turn.effect({ kind: 'finish' });
  else exit(turn, { logGaps: [] });
}

function exit(turn: Turn, finished: Omit<Of<'finished'>, 'kind'>): void {
  const { state } = turn;
  const { logGaps, isRefused = false, filesLost = [] } = finished;
  const verdict = finalVerdict(state, { isOutputRefused: isRefused, filesLost });
  const { stop } = state;
  turn.emit('attempt.exited', {
    elapsedMs: turn.elapsedMs(),
    ...verdict,
    stop:
      stop !== null && verdict.outcome === 'stopped'
        ? { command: stop.commands[0] ?? '', by: stop.by, reason: stop.reason }
        : null,
    steps: [...state.steps],
    metrics: [...(state.reported?.metrics ?? []), ...state.extracted],
    logBytes: logBytesOf(state),
    logGaps: [...logGaps],
    teardownFailure: state.teardownFailure,
    proven: isProven(state),
    survivors: survivorsOf(state),
    ...givenOf(state),
    ...(filesLost.length === 0 ? {} : { filesLost: [...filesLost] }),
    ...(state.reported === null ? {} : { report: state.reported.summary }),
  });
  turn.set({ life: { kind: 'exited' } });
  const end = { commands: stop?.commands ?? [], stopped: stoppedAttempt(turn.state) };
  turn.effect({ kind: 'end', end });
}

function onStop(turn: Turn, message: Of<'stop'>): void {
  const { life, spec, stop: known } = turn.state;
  const { stop } = message;
  const graceMs = stop.now ? 0 : (stop.graceMs ?? spec.graceMs);
  const isNew = known?.commands.includes(stop.command) !== true;
  if (isNew) turn.keep({ stop: joined(known, stop, { graceMs, arrivedMs: turn.now.monotonicMs }) });
  switch (life.kind) {
    case 'new':
    case 'exited':
      return;
    case 'queued':
      decideStopped(turn);
      exit(turn, { logGaps: [] });
      return;
    case 'stepping':
      if (isNew) announceStop(turn, message);
      turn.effect({ kind: 'stop_step', graceMs, now: stop.now });
      return;
    case 'collecting':
      if (isNew) announceStop(turn, message);
      decideStopped(turn);
      return;
    case 'finishing':
      return;
  }
}

function announceStop(turn: Turn, { stop }: Of<'stop'>): void {
  const { command, by, reason } = stop;
  turn.emit('attempt.stopping', { elapsedMs: turn.elapsedMs(), command, by, reason });
}

function onResume(turn: Turn, message: Of<'resume'>): void {
  const { life, spec, bootId, originMs, elapsedMs } = turn.state;
  if (bootId !== message.bootId) {
    const moved = originMs === null ? null : turn.now.monotonicMs - elapsedMs;
    turn.keep({ bootId: message.bootId, originMs: moved });
  }
  switch (life.kind) {
    case 'new':
    case 'queued':
    case 'exited':
      return;
    case 'stepping': {
      const step = spec.steps[life.index];
      if (step !== undefined) turn.effect({ kind: 'adopt_step', index: life.index, step });
      return;
    }
    case 'collecting':
      turn.effect({ kind: 'extract' });
      return;
    case 'finishing':
      freeIfGone(turn);
      turn.effect({ kind: 'finish' });
      return;
  }
}

function onStepAdopted(turn: Turn, message: Of<'step_adopted'>): void {
  const { life, stop, spec } = turn.state;
  if (life.kind !== 'stepping' || life.index !== message.index) return;
  if (!life.announced) announce(turn, life.index, message.pid);
  const step = spec.steps[life.index]?.step ?? null;
  turn.emit('attempt.adopted', { elapsedMs: turn.elapsedMs(), step, alive: message.alive });
  if (stop !== null) turn.effect({ kind: 'stop_step', graceMs: stop.graceMs, now: stop.now });
  else if (step === 'run' && turn.state.verdict !== null)
    // Its health had ended it, and the agent went before its process did.
    turn.effect({ kind: 'stop_step', graceMs: spec.graceMs, now: false });
}

/** The agent died between its journal entry and the start: nothing ever ran (I8). */
function onStepNotStarted(turn: Turn, message: Of<'step_not_started'>): void {
  const { life, stop, spec } = turn.state;
  if (life.kind !== 'stepping' || life.index !== message.index) return;
  if (stop !== null && spec.steps[life.index]?.step !== 'teardown') {
    decideStopped(turn);
    afterSteps(turn);
  } else {
    startStep(turn, life.index);
  }
}
