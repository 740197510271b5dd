/**
 * Takes back what was handed out ahead (take-back-policy.ts says what and when).
 *
 *   revoke --> exited (drained) --> task.retrying --> handed to the agent that it was taken back for
 *          \-> it has begun: nothing changes
 *
 * 1. The agent decides: only its word that the attempt never began allows the next one (I4). So the next
 *    leader need not know what was asked for; it asks again, and the same id is one command.
 * 2. MOST at a time of an agent, and for one; an agent that is cordoned gives all back that others could run.
 * 3. What asks goes from BM_COMMANDS with the answer (I12).
 * 4. What one event costs does not grow with tasks or agents: the agents that were offered work just now look
 *    for more, and those for which it was too early again when it is time.
 */
import { subjects } from '#protocol/messages/subjects.ts';
import { availableAgents, capacityOf } from '../../fleet/fleet-reducer.ts';
import { isPaused, isStopped, openAttempt } from '../../runs/run-reducer.ts';
import { openKey, type OpenAttempt, type RunEntry, type TaskEntry } from '../../runs/run-state.ts';
import { couldRun } from '../../scheduler/fit-policy.ts';
import { handedOutAt, handedOutTo, noteAsked, noteBegun } from '../../scheduler/handed-out.ts';
import type { AgentCapacity, HandedOut } from '../../scheduler/scheduler-state.ts';
import { hasLower } from '../../scheduler/preempt-policy.ts';
import {
  findBefore,
  findFor,
  hasFreeSlot,
  LATE_MS,
  priorityOf,
  type Donors,
} from '../../scheduler/take-back-policy.ts';
import { markDirty, publish, type Context, type CoreState } from '../core-state.ts';
import type { TakenBack } from './take-back-state.ts';
import { wakeAt } from '../wake.ts';

/** In flight: asked of one agent, and awaited by one. */
const MOST = 4;
/** As of starts. */
const TTL_SECONDS = 6 * 24 * 3_600;

const keyOf = (run: string, task: string): string => `${run}/${task}`;

/** After these agents were offered what waits. */
export function takeBack(context: Context, offered: readonly AgentCapacity[]): void {
  const { scheduler, fleet } = context.state;
  if (scheduler.unbegun.size === 0) return;
  let all: AgentCapacity[] | null = null;
  const donors: Donors = {
    nowMs: context.now.monotonicMs,
    everyone: () => (all ??= availableAgents(fleet)),
    donor: (agent) => donorOf(context.state, agent),
  };
  const before = findBefore(scheduler, donors);
  if (before.one !== null) ask(context, before.one, before.one.agent);
  else if (before.early !== null) lookAgain(context, before.early.one.agent, before.early.atMs);
  for (const target of offered) {
    if (hasFreeSlot(scheduler, target)) takeBackFor(context, target, donors);
  }
}

function takeBackFor(context: Context, target: AgentCapacity, donors: Donors): void {
  const { scheduler, takeBacks } = context.state;
  for (;;) {
    const awaited = takeBacks.awaited.get(target.id) ?? 0;
    if (awaited >= MOST) return;
    const { one, early } = findFor(scheduler, { target, awaited }, donors);
    if (one === null) {
      if (early !== null) lookAgain(context, target.id, early.atMs);
      return;
    }
    ask(context, one, target.id);
  }
}

/** At that time; `agent`: for whom, else for all that waits. */
export function lookAgain(context: Context, agent: string, atMs: number): void {
  context.state.takeBacks.early.add(agent);
  wakeAt(context, atMs);
}

/** Those for which it was too early look again. */
export function reviewEarly({ state }: Context): void {
  const { early } = state.takeBacks;
  if (early.size === 0) return;
  markDirty(state, early.has('') ? 'all' : early);
  early.clear();
}

function donorOf({ fleet, takeBacks }: CoreState, id: string): AgentCapacity | null {
  const agent = fleet.agents.get(id);
  if (agent === undefined || agent.unreachable) return null;
  return (takeBacks.asked.get(id) ?? 0) < MOST ? capacityOf(agent) : null;
}

function ask(context: Context, one: HandedOut, to: string | null): void {
  const { state } = context;
  const { takeBacks } = state;
  const { agent: from } = one;
  noteAsked(state.scheduler, one);
  const run = state.runs.get(one.run);
  const task = run?.listed[one.index];
  if (run === undefined || task === undefined) return;
  const { n } = task;
  const open = openAttempt(run, { task: task.id, n, agent: from });
  if (open === undefined || isStopped(run, task) || isPaused(run, task)) return;
  takeBacks.open.set(keyOf(run.id, task.id), { from, to });
  add(takeBacks.asked, from, 1);
  if (to !== null) add(takeBacks.awaited, to, 1);
  const data = { run: run.id, task: task.id, n };
  publish(context, {
    subject: subjects.command(from, 'revoke', run.id),
    name: 'command.revoke',
    data,
    id: `back_${run.id}_${task.id}_${n}`,
    ttl: TTL_SECONDS,
    unordered: true,
  });
}

function add(counts: Map<string, number>, agent: string, sign: 1 | -1): void {
  const count = (counts.get(agent) ?? 0) + sign;
  if (count === 0) counts.delete(agent);
  else counts.set(agent, count);
}

/** Its start was stored: from now on it waits there. */
export function onHandedOut(
  context: Context,
  run: RunEntry,
  { task, agent }: Pick<OpenAttempt, 'task' | 'agent'>,
): void {
  const { scheduler, fleet } = context.state;
  const index = run.tasks.get(task)?.index ?? 0;
  const one = handedOutAt(scheduler, run.id, { index, agent });
  if (one?.sinceMs !== Infinity) return;
  one.sinceMs = context.now.monotonicMs;
  if (hasLower(scheduler, priorityOf(one))) lookAgain(context, agent, one.sinceMs + LATE_MS);
  if ((fleet.agents.get(agent)?.cordon ?? null) !== null) emptyCordoned(context, agent);
}

/** What is asked for, and not answered; null: nothing. */
export function takenBackOf({ takeBacks }: CoreState, run: string, task: string): TakenBack | null {
  return takeBacks.open.get(keyOf(run, task)) ?? null;
}

/** It was answered, or something else has become of the task: null where nobody had asked. */
export function closeTakeBack(context: Context, run: string, task: string): TakenBack | null {
  const { takeBacks, fleet } = context.state;
  const known = takenBackOf(context.state, run, task);
  if (known === null) return null;
  takeBacks.open.delete(keyOf(run, task));
  add(takeBacks.asked, known.from, -1);
  if (known.to !== null) {
    add(takeBacks.awaited, known.to, -1);
    markDirty(context.state, [known.to]);
  }
  if ((fleet.agents.get(known.from)?.cordon ?? null) !== null) emptyCordoned(context, known.from);
  return known;
}

/** An attempt has begun: it is not given back any more. */
export function onBegun(
  context: Context,
  { run, task }: { readonly run: RunEntry; readonly task: TaskEntry },
  { agent, timeMs }: { readonly agent: string; readonly timeMs: number },
): void {
  const { state, now } = context;
  // While the streams are replayed this is a time of theirs.
  const atMs = state.acting ? now.monotonicMs : timeMs;
  noteBegun(state.scheduler, run.id, { index: task.index, agent, atMs });
  onAnswered(context, run, { task: task.id, n: task.n });
  if (takenBackOf(state, run.id, task.id)?.from === agent) closeTakeBack(context, run.id, task.id);
}

/** What asks for an attempt was read from BM_COMMANDS. */
export function onAskedFor(
  { state, effects }: Context,
  run: RunEntry,
  { task, n, sequence }: { readonly task: string; readonly n: number; readonly sequence: number },
): void {
  const key = openKey(task, n);
  const known = run.takeBacks.get(key);
  const isRepeat = known !== undefined && known !== sequence;
  if (!isRepeat) run.takeBacks.set(key, sequence);
  if (!state.acting) return;
  if (isRepeat) effects.push({ kind: 'delete_stop', sequence });
  else if (isOver(state, run, { task, n })) onAnswered({ state, effects }, run, { task, n });
}

/** The attempt has begun, or has ended, or its task has gone on without it (3). */
export function onAnswered(
  { state, effects }: Pick<Context, 'state' | 'effects'>,
  run: RunEntry,
  { task, n }: { readonly task: string; readonly n: number },
): void {
  const sequence = run.takeBacks.get(openKey(task, n));
  if (sequence === undefined || !state.acting) return;
  run.takeBacks.delete(openKey(task, n));
  effects.push({ kind: 'delete_stop', sequence });
}

/** After the replay: what was answered meanwhile. */
export function resumeTakeBacks({ state, effects }: Context, run: RunEntry): void {
  for (const key of [...run.takeBacks.keys()]) {
    const at = key.lastIndexOf('#');
    const of = { task: key.slice(0, at), n: Number(key.slice(at + 1)) };
    if (isOver(state, run, of)) onAnswered({ state, effects }, run, of);
  }
}

/** Nothing is left to take back. */
function isOver(
  { scheduler }: CoreState,
  run: RunEntry,
  { task: id, n }: { readonly task: string; readonly n: number },
): boolean {
  const open = run.open.get(openKey(id, n));
  const task = run.tasks.get(id);
  if (open === undefined || task?.n !== n) return true;
  const { agent } = open;
  const one = handedOutAt(scheduler, run.id, { index: task.index, agent });
  return one === undefined || one.begunMs !== null;
}

/** What waits on an agent that is handed nothing new goes to those that are, where one could run it. */
export function emptyCordoned(context: Context, agent: string): void {
  const { state } = context;
  if (!state.acting || donorOf(state, agent) === null) return;
  const others = availableAgents(state.fleet).filter(({ id }) => id !== agent);
  for (const one of [...handedOutTo(state.scheduler, agent)]) {
    if (donorOf(state, agent) === null) return;
    if (one.begunMs !== null || one.isAsked || one.sinceMs === Infinity) continue;
    if (others.some((other) => couldRun(other, one.lane.of))) ask(context, one, null);
  }
}
