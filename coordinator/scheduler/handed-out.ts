/**
 * Attempts that are with agents, one by one: what waits there may be taken back, what runs may have to make
 * room. Ranks of gangs are none of them: they begin and end together. Pure.
 */
import { hostsOf } from '#protocol/messages/attempt/gang.ts';
import type { HandedOut, ScheduledLane, SchedulerState } from './scheduler-state.ts';

interface At {
  readonly index: number;
  readonly agent: string;
}

const keyOf = (run: string, index: number): string => `${run} ${index}`;

/** It has its place. */
export function noteHandedOut(
  state: SchedulerState,
  lane: ScheduledLane,
  { index, agent }: At,
): void {
  if (hostsOf(lane.lane.needs) > 1) return;
  const run = lane.run.queue.run;
  dropHandedOut(state, run, { index, agent });
  const one: HandedOut = {
    ...{ run, index, agent, lane, group: lane.key },
    ...{ sinceMs: -Infinity, begunMs: null, keptMs: 0, isAsked: false, isEnding: false },
  };
  const there = state.handedOut.get(agent) ?? new Map<string, HandedOut>();
  state.handedOut.set(agent, there.set(keyOf(run, index), one));
  addTo(state.unbegun, one.group, one);
  if (lane.run.isPreemptible) addTo(state.preemptible, run, one);
}

/** It has given its place up. */
export function dropHandedOut(state: SchedulerState, run: string, { index, agent }: At): void {
  const there = state.handedOut.get(agent);
  const one = there?.get(keyOf(run, index));
  if (there === undefined || one === undefined) return;
  there.delete(keyOf(run, index));
  if (there.size === 0) state.handedOut.delete(agent);
  dropFrom(state.unbegun, one.group, one);
  dropFrom(state.preemptible, run, one);
}

export function handedOutAt(
  { handedOut }: SchedulerState,
  run: string,
  { index, agent }: At,
): HandedOut | undefined {
  return handedOut.get(agent)?.get(keyOf(run, index));
}

/** Of the agent, in the order in which they were handed out. */
export function handedOutTo({ handedOut }: SchedulerState, agent: string): Iterable<HandedOut> {
  return handedOut.get(agent)?.values() ?? [];
}

/** Its start is on its way. */
export function noteStarting(state: SchedulerState, run: string, at: At): void {
  const one = handedOutAt(state, run, at);
  if (one !== undefined) one.sinceMs = Infinity;
}

/** Its first step has begun; the first word of that counts. */
export function noteBegun(
  state: SchedulerState,
  run: string,
  { index, agent, atMs }: At & { readonly atMs: number },
): void {
  const one = handedOutAt(state, run, { index, agent });
  if (one === undefined || one.begunMs !== null) return;
  one.begunMs = atMs;
  one.keptMs = atMs;
  dropFrom(state.unbegun, one.group, one);
}

/** Its agent is asked to give it back: it is asked once. */
export function noteAsked(state: SchedulerState, one: HandedOut): void {
  one.isAsked = true;
  dropFrom(state.unbegun, one.group, one);
}

/** After a replay: from the stream's clock to a leader's. */
export function dateHandedOut(
  { handedOut }: SchedulerState,
  toMonotonic: (ms: number) => number,
): void {
  for (const there of handedOut.values())
    for (const one of there.values()) {
      if (one.begunMs === null) continue;
      one.begunMs = toMonotonic(one.begunMs);
      one.keptMs = toMonotonic(one.keptMs);
    }
}

/** What it has done so far is in a checkpoint. */
export function noteKept(
  state: SchedulerState,
  run: string,
  { index, agent, atMs }: At & { readonly atMs: number },
): void {
  const one = handedOutAt(state, run, { index, agent });
  if (one !== undefined) one.keptMs = Math.max(one.keptMs, atMs);
}

type Groups = Map<string, Set<HandedOut>>;

function addTo(groups: Groups, key: string, one: HandedOut): void {
  const group = groups.get(key) ?? new Set<HandedOut>();
  groups.set(key, group.add(one));
}

function dropFrom(groups: Groups, key: string, one: HandedOut): void {
  const group = groups.get(key);
  group?.delete(one);
  if (group?.size === 0) groups.delete(key);
}
