/**
 * The host's actor: which attempts it has, what may start, and what a stop still waits for. Pure.
 *
 * 1. A start whose `afterStop` is below the newest stop known of its run or task never runs, in
 *    whatever order the two came; it is accepted and ends as stopped, so that its end is proven (I6).
 *    That holds for a stop which the server has lost since; a newer stop takes its place.
 * 2. A stop is done when every attempt it reached has ended; it then names each of them, and none
 *    is an answer too (I5).
 * 3. A freed claim is given on in the same turn, without asking anybody.
 * 4. An attempt that ended with survivors keeps its claim until it is freed; a stop does not wait for
 *    that, it names them (I5).
 * 5. Commands come here once: the journal has removed repeats.
 * 6. While it drains nothing starts: what waits, and every start that still comes, is given back at
 *    once, as an attempt that ended before it began. It runs elsewhere, or here when the drain is over.
 * 7. GPUs are given by a look no older than FRESH_MS, and nobody looks for the sake of an attempt that
 *    needs none (I10).
 * 8. What a run prepares its hosts with is made by its first attempt here (host-setups.ts).
 * 9. Cut off from the server, attempts go on; those whose suite says otherwise end, also what waits.
 */
import { gpuCountOf } from '#protocol/messages/attempt/needs.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { wishesOf } from './live-attempt.ts';
import type { Update } from '#protocol/runtime/actor.ts';
import type { Now } from '#protocol/runtime/clock.ts';
import { behindFence, nextToStart, unfit, waitReason } from './capacity-policy.ts';
import { onRankWord } from './host-gangs.ts';
import { onSetUp, released, sayWaitingForSetup, taking, withoutSetupsOf } from './host-setups.ts';
import { answerRevoke, onRevoke } from './host-revokes.ts';
import { sayPinned } from './pinned-cpus.ts';
import {
  isUnder,
  onSayReceived,
  onStop,
  openStop,
  overtakingStop,
  reach,
  receiptOf,
  settle,
} from './host-stops.ts';
import type { HostEffect, HostMessage, HostState, LiveAttempt } from './host-state.ts';

type Of<K extends HostMessage['kind']> = Extract<HostMessage, { kind: K }>;
type Result = readonly [HostState, readonly HostEffect[]];

export const updateHost: Update<HostState, HostMessage, HostEffect> = (state, message, now) => {
  const [next, effects] = handle(state, message, now);
  const [filled, all] = fill(next, effects, now);
  return [filled, sayPinned(state, filled, all)];
};

function handle(state: HostState, message: HostMessage, now: Now): Result {
  switch (message.kind) {
    case 'start':
      return onStart(state, message);
    case 'revoke':
      return onRevoke(state, message);
    case 'go':
    case 'peers':
      return onRankWord(state, message);
    case 'stop':
      return onStop(state, message);
    case 'say_received':
      return onSayReceived(state, message.command);
    case 'release':
      return onRelease(state, message.run);
    case 'forget_run':
      return onForgetRun(state, message.run);
    case 'drain':
      return onDrain(state, message);
    case 'undrain':
      return onUndrain(state, message.reason);
    case 'set_up':
      return onSetUp(state, message);
    case 'freed':
      return onFreed(state, message.key);
    case 'ended':
      return onEnded(state, message);
    case 'disk':
      return [{ ...state, blocked: message.blocked }, []];
    case 'cut_off':
      return onCutOff(state, message.forMs);
    case 'gpus':
      return onGpus(state, message, now);
    case 'recheck':
      return [asking(state, null), []];
    case 'restore':
      return onRestore(state, message);
    case 'mail_read':
      return [{ ...state, isUnread: false }, []];
  }
}

/** The same again changes nothing: what was told to end is told so once by its own state (9). */
function onCutOff(state: HostState, forMs: number): Result {
  let next = state;
  const effects: HostEffect[] = [];
  for (const attempt of state.live.values()) {
    const { key, stage, stopAfterMs = Infinity } = attempt;
    if (stopAfterMs > forMs || (stage !== 'queued' && stage !== 'running')) continue;
    if (stage === 'queued') next = withLive(next, { ...attempt, stage: 'ending' });
    const reason = `its host was cut off from the server for ${stopAfterMs / 1_000} s (onPartition)`;
    effects.push({ kind: 'cut_off', key, reason });
  }
  return [next, effects];
}

const GIVEN_BACK = 'its agent drains: it had not begun there';

function onDrain(before: HostState, { reason, isEnding }: Of<'drain'>): Result {
  const state = isEnding === true ? { ...before, isEnding } : before;
  if (state.isDraining) return [state, []];
  // Said first: a coordinator that reads of what was given back must not offer it here again.
  return [{ ...state, isDraining: true }, [{ kind: 'say_draining', reason }]];
}

/** What was given back stays so; what comes from now on starts. */
function onUndrain(state: HostState, reason: string): Result {
  if (!state.isDraining || state.isEnding) return [state, []];
  return [{ ...state, isDraining: false }, [{ kind: 'say_undrained', reason }]];
}

/** Gives back what waits (6). */
function giveBack(state: HostState, before: readonly HostEffect[]): Result {
  let next = state;
  const effects = [...before];
  for (const attempt of state.live.values()) {
    if (attempt.stage !== 'queued') continue;
    const { key } = attempt;
    next = withLive(next, { ...attempt, stage: 'ending' });
    effects.push({ kind: 'refuse', key, class: 'drained', reason: GIVEN_BACK });
  }
  return [next, effects];
}

/** A look older than this is no ground to give a GPU away. */
const FRESH_MS = 5_000;

/** Starts what fits (3). */
function fill(state: HostState, before: readonly HostEffect[], now: Now): Result {
  if (state.isDraining) return giveBack(state, before);
  if (state.isUnread) return [state, before];
  let next = state;
  const effects = [...before];
  for (;;) {
    const placement = nextToStart(next);
    if (placement === null) {
      const [told, said] = sayWaitingForSetup(next, effects);
      return sayWaiting(told, said, now);
    }
    const { attempt, slots, gpus, cpus } = placement;
    const { key } = attempt;
    if (next.blocked !== null) {
      next = withLive(next, { ...attempt, stage: 'ending' });
      effects.push({ kind: 'refuse', key, class: 'disk', reason: next.blocked ?? '' });
    } else if (gpus.length > 0 && isStale(next, now)) {
      return look(next, effects);
    } else {
      const held = gpus.map(({ id }) => id);
      const { state: taken, makesSetup } = taking(next, attempt);
      next = withLive(taken, { ...attempt, stage: 'running', slots, gpus: held, cpus });
      effects.push({ kind: 'begin', key, slots, gpus, cpus, makesSetup });
    }
  }
}

function isStale({ gpus }: HostState, now: Now): boolean {
  return gpus.lookedMs === null || now.monotonicMs - gpus.lookedMs >= FRESH_MS;
}

/** Asks for a look; until it comes what needs a GPU keeps its place in the queue (7). */
function look(state: HostState, effects: readonly HostEffect[]): Result {
  if (state.gpus.asked === 'look') return [state, effects];
  return [asking(state, 'look'), [...effects, { kind: 'look' }]];
}

function asking(state: HostState, asked: HostState['gpus']['asked']): HostState {
  return { ...state, gpus: { ...state.gpus, asked } };
}

/** What could not be told at the start may turn out not to be there at all. */
function onGpus(state: HostState, message: Of<'gpus'>, now: Now): Result {
  const { gpus, isKnown, isLook } = message;
  const seen = isLook ? { lookedMs: now.monotonicMs, asked: null } : {};
  const isNews = isKnown && !state.gpus.isKnown;
  let next: HostState = { ...state, gpus: { ...state.gpus, gpus, isKnown, ...seen } };
  const effects: HostEffect[] = [];
  for (const attempt of isNews ? state.live.values() : []) {
    const reason = attempt.stage === 'queued' ? unfit(next, attempt) : null;
    if (reason === null) continue;
    next = withLive(next, { ...attempt, stage: 'ending' });
    effects.push({ kind: 'refuse', key: attempt.key, class: 'preflight', reason });
  }
  return [next, effects];
}

/**
 * An operator looks for why nothing happens: what waits for a fence is said, and again when it is
 * another. Where nothing runs that a look could disturb, a fence of a GPU is looked at again soon.
 */
function sayWaiting(state: HostState, before: readonly HostEffect[], now: Now): Result {
  let next = state;
  const effects = [...before];
  const waiting = behindFence(state);
  for (const attempt of waiting) {
    const reason = waitReason(state, attempt);
    if (attempt.waitsFor === reason) continue;
    next = withLive(next, { ...attempt, waitsFor: reason });
    effects.push({ kind: 'behind_fence', key: attempt.key, reason });
  }
  if (next.gpus.asked !== null || !waiting.some(({ needs }) => gpuCountOf(needs) > 0)) {
    return [next, effects];
  }
  if (isStale(next, now)) return look(next, effects);
  const isBusy = [...state.live.values()].some(({ stage }) => stage === 'running');
  if (isBusy) return [next, effects];
  return [asking(next, 'recheck'), [...effects, { kind: 'look_later' }]];
}

function withLive(state: HostState, attempt: LiveAttempt): HostState {
  return { ...state, live: new Map(state.live).set(attempt.key, attempt) };
}

function withoutLive(state: HostState, key: string): HostState {
  const live = new Map(state.live);
  live.delete(key);
  return { ...state, live };
}

function onStart(state: HostState, message: Of<'start'>): Result {
  const { spec, command, era, sequence, place = 0, afterStop, priority } = message;
  const ref = { run: spec.run, task: spec.task, n: spec.n };
  const key = attemptKey(ref);
  if (state.live.has(key)) return [state, []];
  const attempt: LiveAttempt = {
    key,
    ref,
    needs: spec.needs,
    priority,
    ...wishesOf(spec),
    era,
    sequence,
    ...(place > 0 && { place }),
    afterStop,
    stage: 'queued',
    slots: [],
    gpus: [],
    cpus: [],
  };
  const [next, effects] = admit(withLive(state, attempt), attempt);
  return [next, [{ kind: 'accept', key, command, spec }, ...effects]];
}

/** What waits is ended at once where a stop has overtaken it (1), or where it can never run here. */
function admit(state: HostState, attempt: LiveAttempt): Result {
  const { key } = attempt;
  const overtaken = overtakingStop(state, attempt);
  const reason = overtaken === null ? unfit(state, attempt) : null;
  if (overtaken === null && reason === null) return [state, []];
  const effect: HostEffect =
    overtaken === null
      ? { kind: 'refuse', key, class: 'preflight', reason }
      : { kind: 'stop_attempt', key, ...overtaken };
  return [withLive(state, { ...attempt, stage: 'ending' }), [effect]];
}

function onFreed(state: HostState, key: string): Result {
  const attempt = state.live.get(key);
  if (attempt === undefined) return [state, []];
  if (attempt.stage === 'fenced') return dropReleased(withoutLive(state, key), []);
  return [withLive(state, { ...attempt, stage: 'ending', slots: [], gpus: [], cpus: [] }), []];
}

function onEnded(state: HostState, { key, end }: Of<'ended'>): Result {
  const attempt = state.live.get(key);
  if (attempt === undefined) return [state, []];
  const { stopped } = end;
  const isFenced = attempt.stage === 'running' && stopped.survivors.length > 0;
  const { live } = isFenced
    ? withLive(state, { ...attempt, stage: 'fenced', stopped })
    : withoutLive(state, key);
  const openStops = new Map(state.openStops);
  for (const open of state.openStops.values()) {
    const isOf = open.waiting.has(key) || isUnder(attempt, open);
    if (!isOf) continue;
    const waiting = new Set(open.waiting);
    waiting.delete(key);
    openStops.set(open.command, { ...open, waiting, ended: [...open.ended, stopped] });
  }
  const freed = { ...released(state, attempt), live, openStops };
  const [next, effects] = settle(...answerRevoke(freed, attempt, stopped));
  return dropReleased(next, effects);
}

function onRelease(state: HostState, run: string): Result {
  return dropReleased({ ...state, releasing: new Set(state.releasing).add(run) }, []);
}

/** Nobody will release it: its folder goes, and what was prepared in it. What lives keeps it. */
function onForgetRun(state: HostState, run: string): Result {
  if (state.releasing.has(run) || busyRuns(state).has(run)) return [state, []];
  return [withoutSetupsOf(state, run), [{ kind: 'forget_run', run }]];
}

/** Runs of which something lives, or a stop is open. */
function busyRuns(state: HostState): Set<string> {
  const busy = new Set([...state.live.values()].map((attempt) => attempt.ref.run));
  for (const open of state.openStops.values()) busy.add(open.stop.run);
  return busy;
}

/** Drops released runs of which nothing lives and no stop is open. */
function dropReleased(state: HostState, before: readonly HostEffect[]): Result {
  if (state.releasing.size === 0) return [state, before];
  let next = state;
  const releasing = new Set(state.releasing);
  const floors = new Map(state.floors);
  const effects = [...before];
  const busy = busyRuns(state);
  for (const run of state.releasing) {
    if (busy.has(run)) continue;
    releasing.delete(run);
    for (const target of state.floors.keys()) {
      if (target === run || target.startsWith(`${run}/`)) floors.delete(target);
    }
    effects.push({ kind: 'drop_run', run });
    next = withoutSetupsOf(next, run);
  }
  return [{ ...next, releasing, floors }, effects];
}

function onRestore(state: HostState, { restored }: Of<'restore'>): Result {
  let next: HostState = {
    ...state,
    live: new Map(restored.live.map((attempt) => [attempt.key, attempt])),
    floors: restored.floors,
    isDraining: restored.isDraining,
    isUnread: restored.live.some(({ stage }) => stage === 'queued'),
    setups: restored.setups,
  };
  let effects: readonly HostEffect[] = [];
  for (const stop of restored.openStops) {
    const open = openStop(next, { ...stop, isReceiptSaid: true });
    [next, effects] = reach(next, open, [...effects, receiptOf(open)]);
  }
  // The process before this one may have died between the start and what it made of it.
  for (const attempt of next.live.values()) {
    if (attempt.stage !== 'queued') continue;
    const [admitted, ended] = admit(next, attempt);
    next = admitted;
    effects = [...effects, ...ended];
  }
  return [next, effects];
}
