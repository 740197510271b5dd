/**
 * The life of one attempt, pure.
 *
 * 1. Steps run in their order. The first thing that goes wrong is the verdict; later failures, of
 *    the teardown above all, never change it (I3).
 * 2. Once setup or run began, the teardown runs, unless a stop said `now`.
 * 3. A stop ends the running step; the rest but teardown is skipped. It says what it found (I5).
 * 4. Phases and progress only go forward; `exited` is emitted once and nothing after it (I3, I4).
 * 5. Services live beside the steps that need them (service-rules.ts).
 * 6. A step is started only from a journalled state; a restart first asks whether it ran (I8).
 */
import { HOST_SETUP_STEP } from '#protocol/messages/attempt/attempt-spec.ts';
import { placeIn } from '#protocol/messages/attempt/gang.ts';
import type { Update } from '#protocol/runtime/actor.ts';
import { hasResultRules } from '../files/result-rules.ts';
import { onFileMessage } from '../files/file-rules.ts';
import { notStartedOutcome } from '../process/record/step-outcome.ts';
import type { AttemptEffect, AttemptMessage, AttemptState } from './attempt-state.ts';
import { checkResultOf, checkVerdictOf } from './rules/check-rules.ts';
import { decide, decideFailed, decideStopped, settle } from './rules/end-rules.ts';
import { onStepGone } from './rules/fence-rules.ts';
import { exit, finish } from './rules/exit-rules.ts';
import { onHealth } from './rules/health-rules.ts';
import { onGo, onWaited, waitsAtBarrier } from './rules/barrier-rules.ts';
import { withPeers } from './gang-peers.ts';
import { firstStep, tellHost } from './rules/host-setup-rules.ts';
import { onCutOff } from './rules/partition-rules.ts';
import { endsWithRamp, isEndOfRamp, onStageMeasured } from './rules/ramp-rules.ts';
import { onReport } from './rules/report-rules.ts';
import {
  closeServices,
  graceOf,
  isService,
  onServiceEnded,
  onServiceReady,
  onServiceUnready,
  runningIn,
  stopAll,
} from './rules/service-rules.ts';
import { budgetOf, serviceVerdictOf, teardownFailureOf, verdictOf } from './rules/step-rules.ts';
import { announce, onResume, onStepAdopted } from './rules/resume-rules.ts';
import { announceStop, joined, sayStopping } from './rules/stop-rules.ts';
import { Turn } from './rules/turn.ts';

type Of<K extends AttemptMessage['kind']> = Extract<AttemptMessage, { kind: K }>;

/** What an attempt that has ended still hears. */
const ENDED_TOO: ReadonlySet<AttemptMessage['kind']> = new Set(['step_gone', 'collected']);

export const updateAttempt: Update<AttemptState, AttemptMessage, AttemptEffect> = (
  state,
  message,
  now,
) => {
  if (state.life.kind === 'exited' && !ENDED_TOO.has(message.kind)) return [state, []];
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
    case 'say_stopping':
      sayStopping(turn, message.stop);
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
    case 'check_ended':
      onCheckEnded(turn, message);
      return;
    case 'service_ready':
      if (onServiceReady(turn, message)) next(turn, message.index);
      return;
    case 'service_unready':
      onServiceUnready(turn, message);
      return;
    case 'step_gone':
      onStepGone(turn, message.step);
      return;
    case 'measured':
      turn.keep({ measured: [...(turn.state.measured ?? []), message.metric] });
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
    case 'go':
      if (onGo(turn, message)) afterSteps(turn);
      return;
    case 'peers':
      onPeers(turn, message);
      return;
    case 'stage_measured':
      onStageMeasured(turn, message);
      return;
    case 'waited':
      onWait(turn, message);
      return;
    case 'cut_off':
      if (onCutOff(turn, message.reason)) afterSteps(turn);
      return;
    case 'extracted':
      onExtracted(turn, message);
      return;
    case 'file_stored':
    case 'collected':
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
  const { at, command, seq, spec } = turn.state;
  const elapsedMs = turn.elapsedMs();
  if (seq === 0 && at !== null)
    turn.emit('attempt.accepted', { elapsedMs, command, ...at, ...placeIn(spec) });
}

function onBegin(turn: Turn, message: Of<'begin'>): void {
  if (turn.state.life.kind !== 'queued') return;
  const { slots, resources } = message;
  turn.keep({ slots, originMs: turn.now.monotonicMs, ...(resources && { resources }) });
  startStep(turn, firstStep(turn.state.spec, message.makesSetup === true));
}

function onRefuse(turn: Turn, message: Of<'refuse'>): void {
  if (turn.state.life.kind !== 'queued') return;
  const { class: kind, reason, stage = 'provision' } = message;
  const outcome = message.outcome ?? (kind === 'drained' ? 'skipped' : 'failed');
  turn.keep({ verdict: { outcome, stage, class: kind, reason } });
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
  if (waitsAtBarrier(turn, index)) return;
  turn.keep({ life: { kind: 'stepping', index, announced: false } });
  if (step.check !== undefined) {
    announce(turn, index, null);
    turn.effect({ kind: 'run_check', index, step, budgetMs });
    return;
  }
  turn.effect({ kind: 'start_step', index, step, budgetMs, slot: state.slots[0] ?? 0 });
}

/** The ledger has it: it stands in the spec from now on. */
function onPeers(turn: Turn, message: Of<'peers'>): void {
  const spec = withPeers(turn.state.spec, message);
  if (spec === turn.state.spec) return;
  turn.set({ spec });
  turn.effect({ kind: 'write_peers' });
}

function onWait(turn: Turn, message: Of<'waited'>): void {
  const then = onWaited(turn, message);
  if (then === 'step') startStep(turn, message.index);
  else if (then === 'over') afterSteps(turn);
}

function onStepStarted(turn: Turn, message: Of<'step_started'>): void {
  const { life } = turn.state;
  if (life.kind !== 'stepping' || life.index !== message.index || life.announced) return;
  announce(turn, message.index, message.pid);
}

function onStepEnded(turn: Turn, message: Of<'step_ended'>): void {
  const { life, spec } = turn.state;
  if (isService(turn.state, message.index)) {
    if (onServiceEnded(turn, message)) afterServices(turn);
    else if (life.kind === 'barrier') afterSteps(turn);
    return;
  }
  if (life.kind !== 'stepping' || life.index !== message.index) return;
  const step = spec.steps[life.index];
  if (step === undefined) return;
  const { outcome, lastLine, stderrTail: text } = message;
  if (!life.announced && outcome.end.kind !== 'exec_failed') announce(turn, life.index, null);
  settle(turn, step, outcome);
  if (step.step === 'teardown') {
    turn.set({
      teardownFailure: turn.state.teardownFailure ?? teardownFailureOf(step, outcome, lastLine),
    });
    next(turn, life.index);
    return;
  }
  if (turn.state.stop !== null) decideStopped(turn);
  const verdict =
    step.service === undefined
      ? isEndOfRamp(turn.state, step, outcome)
        ? null
        : verdictOf(step, outcome, lastLine)
      : serviceVerdictOf(step, outcome, { when: 'before it was ready', lastLine });
  if (verdict !== null) decideFailed(turn, verdict, { step: step.id, text });
  tellHost(turn, step, verdict);
  next(turn, life.index);
}

function onCheckEnded(turn: Turn, { index, result, durationMs }: Of<'check_ended'>): void {
  const { life, spec, steps, stop, proof } = turn.state;
  const step = spec.steps[index];
  if (life.kind !== 'stepping' || life.index !== index || step === undefined) return;
  turn.keep({ steps: [...steps, checkResultOf(step, result, { durationMs, proof })] });
  if (stop !== null) decideStopped(turn);
  const verdict = checkVerdictOf(step, result);
  if (verdict !== null) decide(turn, verdict);
  next(turn, index);
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

/** Every step but the teardown is over: what served them ends first. */
function afterSteps(turn: Turn): void {
  if (!closeServices(turn)) afterServices(turn);
}

/** Measurements first, since the teardown may remove files. */
function afterServices(turn: Turn): void {
  const { spec, steps, verdict } = turn.state;
  const ran = steps.some((step) => step.step === 'run');
  const isWanted =
    verdict === null || verdict.outcome === 'failed' || verdict.outcome === 'timed_out';
  if ((spec.metrics.length > 0 || hasResultRules(spec)) && ran && isWanted) {
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

const DIRTY: ReadonlySet<string> = new Set(['setup', 'service', 'load', 'run', 'collect']);

/** Starts the first teardown step at or after `from`, or ends the steps. */
function startTeardown(turn: Turn, from: number): void {
  const { spec, steps, stop } = turn.state;
  const index = spec.steps.findIndex((step, at) => at >= from && step.step === 'teardown');
  const isNeeded = steps.some(({ step, id }) => DIRTY.has(step) && id !== HOST_SETUP_STEP);
  const isAllowed = stop?.now !== true;
  if (index >= 0 && isNeeded && isAllowed) startStep(turn, index);
  else finish(turn);
}

function onStop(turn: Turn, message: Of<'stop'>): void {
  const { life, stop: known } = turn.state;
  const { stop } = message;
  const graces = runningIn(turn.state).map((index) => graceOf(turn.state, index));
  const graceMs = stop.now ? 0 : (stop.graceMs ?? Math.max(turn.state.spec.graceMs, ...graces));
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
      announceStop(turn, stop);
      stopAll(turn, stop);
      return;
    case 'barrier':
      announceStop(turn, stop);
      decideStopped(turn);
      afterSteps(turn);
      return;
    case 'closing':
      announceStop(turn, stop);
      decideStopped(turn);
      stopAll(turn, stop);
      return;
    case 'collecting':
      announceStop(turn, stop);
      decideStopped(turn);
      return;
    case 'finishing':
      return;
  }
}

/** The agent died between its journal entry and the start: nothing ever ran (I8). */
function onStepNotStarted(turn: Turn, message: Of<'step_not_started'>): void {
  const { life, stop, verdict, spec } = turn.state;
  if (isService(turn.state, message.index)) {
    const outcome = notStartedOutcome('ENOENT', 'supervision', 'its record is gone');
    onStepEnded(turn, { kind: 'step_ended', index: message.index, outcome, lastLine: null });
    return;
  }
  if (life.kind !== 'stepping' || life.index !== message.index) return;
  const step = spec.steps[life.index]?.step;
  const isOver = stop !== null || verdict !== null || endsWithRamp(turn.state, step);
  if (isOver && step !== 'teardown') {
    if (stop !== null) decideStopped(turn);
    afterSteps(turn);
  } else {
    startStep(turn, life.index);
  }
}
