/**
 * What the host is prepared with for the attempts of a run. Pure, as host-reducer.ts.
 *
 *   nothing -- the first attempt that needs it begins: it makes it --> being made -- done --> done
 *      ^------------- it ended without: failed, stopped, lost ------------/
 *
 * 1. One attempt makes it, as its own first step: its log, its stop and its adoption are that attempt's.
 * 2. The others that need it keep their place and hold up nobody meanwhile.
 * 3. It fails: those that wait for it fail with it, and it is tried again by who comes later. Its maker
 *    is stopped or given back: the next of those that wait makes it.
 */
import type { Verdict } from '../attempt/attempt-state.ts';
import { SETUP_DONE, type HostEffect, type HostState, type LiveAttempt } from './host-state.ts';

type Result = readonly [HostState, readonly HostEffect[]];

/** The attempt it waits for; null where it waits for none. */
export function makerFor({ setups }: HostState, attempt: LiveAttempt): string | null {
  const maker = attempt.setup === undefined ? undefined : setups.get(attempt.setup);
  return maker === undefined || maker === SETUP_DONE || maker === attempt.key ? null : maker;
}

/** An attempt begins: it makes what it needs, if nobody has. */
export function taking(
  state: HostState,
  { key, setup }: LiveAttempt,
): { readonly state: HostState; readonly makesSetup: boolean } {
  if (setup === undefined || state.setups.has(setup)) return { state, makesSetup: false };
  return { state: { ...state, setups: new Map(state.setups).set(setup, key) }, makesSetup: true };
}

/** What its maker has to say of it (3). */
export function onSetUp(
  state: HostState,
  { key, failure }: { readonly key: string; readonly failure: Verdict | null },
): Result {
  const maker = state.live.get(key);
  if (maker?.setup === undefined || state.setups.get(maker.setup) !== key) return [state, []];
  if (failure === null)
    return [{ ...state, setups: new Map(state.setups).set(maker.setup, SETUP_DONE) }, []];
  const live = new Map(state.live);
  const effects: HostEffect[] = [];
  for (const attempt of state.live.values()) {
    if (attempt.setup !== maker.setup || attempt.stage !== 'queued') continue;
    live.set(attempt.key, { ...attempt, stage: 'ending' });
    const { outcome, stage, class: kind } = failure;
    const reason = `the host could not be prepared by ${nameOf(maker)}: ${failure.reason ?? outcome}`;
    effects.push({
      kind: 'refuse',
      key: attempt.key,
      class: kind,
      reason,
      outcome,
      stage: stage ?? 'setup',
    });
  }
  return [released({ ...state, live }, maker), effects];
}

/** An attempt has ended: what it was making is to be made by another. */
export function released(state: HostState, { key, setup }: LiveAttempt): HostState {
  if (setup === undefined || state.setups.get(setup) !== key) return state;
  const setups = new Map(state.setups);
  setups.delete(setup);
  return { ...state, setups };
}

/** Nothing is left of the run, its folders neither. */
export function withoutSetupsOf(state: HostState, run: string): HostState {
  const left = [...state.setups].filter(([setup]) => !setup.startsWith(`${run}/`));
  return left.length === state.setups.size ? state : { ...state, setups: new Map(left) };
}

/** Those that wait for one to be made are told so, each once for each maker. */
export function sayWaitingForSetup(state: HostState, before: readonly HostEffect[]): Result {
  if (state.setups.size === 0) return [state, before];
  const effects = [...before];
  const live = new Map(state.live);
  for (const attempt of state.live.values()) {
    const maker = attempt.stage === 'queued' ? makerFor(state, attempt) : null;
    if (maker === null) continue;
    const reason = `its host is being prepared by ${nameOf(state.live.get(maker)) ?? maker}`;
    if (attempt.waitsFor === reason) continue;
    live.set(attempt.key, { ...attempt, waitsFor: reason });
    effects.push({ kind: 'behind_fence', key: attempt.key, reason });
  }
  return [{ ...state, live }, effects];
}

function nameOf(attempt: LiveAttempt): string;
function nameOf(attempt: LiveAttempt | undefined): string | null;
function nameOf(attempt: LiveAttempt | undefined): string | null {
  return attempt === undefined ? null : `${attempt.ref.task}#${attempt.ref.n}`;
}
