/**
 * What has to make room for a higher priority. Pure.
 *
 *   waits, fits nowhere --> handed to the agent where least has to end --> waits there --> what is ended for it
 *
 * 1. What waits is handed out first, and what runs is ended then: the queue of its agent is by priority, so
 *    nothing else takes the room, whoever leads, and a leader that comes later finds both as they are.
 * 2. Ended are attempts of a lower priority whose run is preemptible, and that have run for a while: so no
 *    attempt is ended again and again. As few as make room: of the lowest priority first, then those that lose
 *    least. What ends already counts as gone, so nobody is ended for the same room twice.
 * 3. Room is meant: slots, CPUs, memory, GPUs, the host. Nobody is ended for a lock, or to be apart.
 * 4. Tasks on several hosts neither end others nor are ended.
 * 5. While there is something that it may end soon, nothing hands it out ahead elsewhere.
 * 6. The first classes in turn, and a few agents for each, are looked at with each event; of each run the attempts
 *    that it has had for longest, so that what nobody can make room for costs no more with more in hand.
 */
import { hostsOf } from '#protocol/messages/attempt/gang.ts';
import { isBefore } from './class-index.ts';
import { couldRun, lackOf } from './fit-policy.ts';
import { handedOutTo } from './handed-out.ts';
import { hasTurn, type Offer } from './pick.ts';
import { takeFirst } from './run-queue.ts';
import { occupy, without, type Placement } from './scheduler-reducer.ts';
import type { AgentCapacity, HandedOut, NeedClass, SchedulerState } from './scheduler-state.ts';
import { firstOf, hasMoreThanItRuns, LATE_MS, priorityOf } from './take-back-policy.ts';

/** Looked at: classes, agents for each, attempts of a group. */
const MOST = 16;
/** Looked at of one run, in the search for agents. */
const ATTEMPTS_MOST = 128;

export interface Preempting {
  readonly nowMs: number;
  /** An attempt has run for as long before it is ended. */
  readonly afterMs: number;
  readonly everyone: Offer['everyone'];
  /** Null where it takes no work. */
  readonly agentOf: (agent: string) => AgentCapacity | null;
  /** Its end is on the way. */
  readonly isLeaving: (one: HandedOut) => boolean;
}

export interface Victims {
  readonly by: HandedOut;
  readonly victims: readonly HandedOut[];
}

interface Choice {
  readonly victims: readonly HandedOut[];
  /** When the last of them has run for long enough. */
  readonly ripeMs: number;
}

/** Hands out what others will have to make room for; `againMs`: when there may be more, Infinity for never. */
export function placeBefore(
  state: SchedulerState,
  input: Preempting,
): { readonly placements: Placement[]; readonly againMs: number } {
  const placements: Placement[] = [];
  let againMs = Infinity;
  state.saved.clear();
  if (state.preemptible.size === 0) return { placements, againMs };
  for (const of of firstClasses(state)) {
    while (of.eligible.length > 0 && placements.length < MOST) {
      const best = bestAgent(state, of, input);
      if (best === null) break;
      const { agent, choice } = best;
      if (choice.ripeMs > input.nowMs) {
        state.saved.add(of);
        againMs = Math.min(againMs, choice.ripeMs);
        break;
      }
      const lane = of.eligible[0];
      const index = lane === undefined ? null : takeFirst(lane.lane);
      if (lane === undefined || index === null) break;
      const { run } = lane.run.queue;
      occupy(state, run, { index, agent: agent.id });
      placements.push({ run, index, agent: agent.id });
    }
  }
  return { placements, againMs };
}

function firstClasses(state: SchedulerState): NeedClass[] {
  const first: NeedClass[] = [];
  for (const of of state.classes.values()) {
    if (of.eligible.length === 0 || hostsOf(of.needs) > 1) continue;
    if (!hasLower(state, of.priority)) continue;
    const at = first.findIndex((other) => isBefore(of, other));
    first.splice(at === -1 ? first.length : at, 0, of);
    if (first.length > MOST) first.pop();
  }
  return first;
}

/** Whether anything of a lower priority could be ended at all. */
export function hasLower({ preemptible }: SchedulerState, priority: number): boolean {
  for (const [one] of preemptible.values()) {
    if (one === undefined) continue;
    if (one.lane.run.queue.added !== null || priorityOf(one) < priority) return true;
  }
  return false;
}

/** Where the least has to end for it, of those that may end now, else of those that may soonest. */
function bestAgent(
  state: SchedulerState,
  of: NeedClass,
  input: Preempting,
): { readonly agent: AgentCapacity; readonly choice: Choice } | null {
  let best: { agent: AgentCapacity; choice: Choice } | null = null;
  for (const agent of agentsFor(state, of, input)) {
    const lack = lackOf(state, { agent, queued: false }, of);
    if (lack === null || lack === 'lock' || lack === 'apart') continue;
    const offer: Offer = { queued: false, agents: [agent], everyone: input.everyone };
    const room = { agent, queued: false };
    const fits = (): boolean => hasTurn(state, room, { of, offer });
    const choice = choose(state, { agent, priority: of.priority, own: null, fits }, input);
    if (choice === null) continue;
    if (best === null || compare(choice, best.choice, input.nowMs) < 0) best = { agent, choice };
  }
  return best;
}

/** A few that have attempts of lower priority, the lowest first. */
function agentsFor(
  { preemptible }: SchedulerState,
  of: NeedClass,
  { agentOf }: Preempting,
): readonly AgentCapacity[] {
  const found: AgentCapacity[] = [];
  const seen = new Set<string>();
  const runs = [...preemptible.values()].sort((a, b) => lowestOf(a) - lowestOf(b));
  for (const attempts of runs) {
    let left = ATTEMPTS_MOST;
    for (const one of attempts) {
      if (found.length >= MOST) return found;
      if (left === 0) break;
      left -= 1;
      if (seen.has(one.agent) || priorityOf(one) >= of.priority) continue;
      seen.add(one.agent);
      const agent = agentOf(one.agent);
      if (agent !== null && couldRun(agent, of)) found.push(agent);
    }
  }
  return found;
}

function lowestOf(attempts: ReadonlySet<HandedOut>): number {
  const [one] = attempts;
  return one === undefined ? Infinity : priorityOf(one);
}

interface Place {
  readonly agent: AgentCapacity;
  readonly priority: number;
  /** What it is for, where that waits there. */
  readonly own: HandedOut | null;
  /** Whether there is room, as things are. */
  readonly fits: () => boolean;
}

/** What has to end at the agent; null where that would not do. */
function choose(state: SchedulerState, place: Place, input: Preempting): Choice | null {
  const { agent, priority, own } = place;
  const there = [...handedOutTo(state, agent.id)];
  const isOver = hasMoreThanItRuns(state, agent);
  const isGoing = (one: HandedOut): boolean => one.isEnding || input.isLeaving(one);
  // What waits there with a lower priority begins after it.
  const going = there.filter(
    (one) =>
      one === own || isGoing(one) || (one.begunMs === null && isOver && priorityOf(one) < priority),
  );
  const lower = there
    .filter((one) => !going.includes(one) && one.lane.run.isPreemptible)
    .filter((one) => priorityOf(one) < priority)
    .sort((a, b) => priorityOf(a) - priorityOf(b) || b.keptMs - a.keptMs);
  const ripeOf = (one: HandedOut): number => (one.begunMs ?? input.nowMs) + input.afterMs;
  const fits = (ended: readonly HandedOut[]): boolean =>
    without(state, [...going, ...ended], place.fits);
  if (fits([])) {
    const isFreed = there.some(isGoing);
    return isFreed ? { victims: [], ripeMs: -Infinity } : null;
  }
  const ripe = lower.filter((one) => ripeOf(one) <= input.nowMs);
  const victims = fewest(ripe, fits) ?? fewest(lower, fits);
  return victims === null ? null : { victims, ripeMs: Math.max(...victims.map(ripeOf)) };
}

function fewest(
  lower: readonly HandedOut[],
  fits: (ended: readonly HandedOut[]) => boolean,
): HandedOut[] | null {
  let chosen: HandedOut[] = [];
  for (const one of lower) {
    chosen.push(one);
    if (fits(chosen)) break;
  }
  if (chosen.length === 0 || !fits(chosen)) return null;
  // The last made it fit; what was taken before it may not be needed.
  for (const one of [...chosen].reverse()) {
    const rest = chosen.filter((other) => other !== one);
    if (rest.length > 0 && fits(rest)) chosen = rest;
  }
  return chosen;
}

function compare(a: Choice, b: Choice, nowMs: number): number {
  const value = ({ victims, ripeMs }: Choice): number[] => [
    Math.max(0, ripeMs - nowMs),
    Math.max(-Infinity, ...victims.map(priorityOf)),
    victims.length,
    victims.reduce((lost, { keptMs }) => lost + nowMs - keptMs, 0),
  ];
  const [mine, its] = [value(a), value(b)];
  const at = mine.findIndex((each, i) => each !== its[i]);
  return at < 0 ? 0 : (mine[at] ?? 0) - (its[at] ?? 0);
}

/** What is to be ended for what waits at its agent, and when there may be more. */
export function victimsNow(
  state: SchedulerState,
  input: Preempting,
): { readonly found: Victims[]; readonly againMs: number } {
  const found: Victims[] = [];
  let againMs = Infinity;
  for (const group of state.preemptible.size === 0 ? [] : state.unbegun.values()) {
    for (const by of firstOf(group, MOST)) {
      const agent = hasLower(state, priorityOf(by)) ? input.agentOf(by.agent) : null;
      if (agent === null || input.isLeaving(by) || !hasMoreThanItRuns(state, agent)) continue;
      const choice = choose(state, placeOf(state, agent, by), input);
      if (choice === null || choice.victims.length === 0) continue;
      const readyMs = Math.max(choice.ripeMs, by.sinceMs + LATE_MS);
      if (readyMs > input.nowMs) {
        againMs = Math.min(againMs, readyMs);
        continue;
      }
      for (const one of choice.victims) one.isEnding = true;
      found.push({ by, victims: choice.victims });
    }
  }
  return { found, againMs };
}

/** Where it is: its locks are its own. */
function placeOf(state: SchedulerState, agent: AgentCapacity, by: HandedOut): Place {
  const { locks: _, ...needs } = by.lane.lane.needs;
  const of = { needs, tags: null };
  const fits = (): boolean => lackOf(state, { agent, queued: false }, of) === null;
  return { agent, priority: priorityOf(by), own: by, fits };
}
