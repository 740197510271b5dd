/**
 * What of a run waits for something else than a host, by the reasons of its tasks. Pure.
 *
 * A run may have a million tasks: only those are looked at that are in hand, held back or undecided, and
 * those that somebody paused by themselves. A pause or a stop of the run as a whole is one fact.
 */
import { pauseOf } from '#protocol/fold/pauses.ts';
import type { RunExplanation, TaskReason } from '#protocol/messages/run/explain.ts';
import { isPaused, isStopped } from '../../runs/run-reducer.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { heldUntil } from '../starts/held-retries.ts';
import type { CoreState } from '../core-state.ts';
import { replacingReason } from './replacing-rank.ts';

type HeldBack = RunExplanation['heldBack'];
type Group = HeldBack[number];

/** Of a task that has no attempt under way; null where nothing but a host is missing. */
export function heldReason(
  { nowMs }: Pick<CoreState, 'nowMs'>,
  run: RunEntry,
  task: TaskEntry,
): TaskReason | null {
  if (isStopped(run, task)) return { kind: 'stopping' };
  if (isPaused(run, task)) return pausedReason(run, task.id);
  const dueMs = heldUntil(run, task);
  if (dueMs === null) return null;
  return { kind: 'backing_off', n: task.n, leftMs: Math.max(0, Math.round(dueMs - nowMs)) };
}

function pausedReason({ fold }: RunEntry, task: string | null): TaskReason {
  return { kind: 'paused', by: pauseOf(fold.pauses, task)?.by ?? 'unknown' };
}

/** `rest`: how many of its tasks have neither ended, nor are with agents, nor wait for a host. */
export function heldBackOf(state: CoreState, run: RunEntry, rest: number): HeldBack {
  const unheard = unheardGroup(state, run);
  const deciding = decidingGroup(run);
  const backingOff = backingOffGroup(state, run);
  const told = [deciding, backingOff].filter((group) => group !== null);
  const left = rest - told.reduce((sum, { tasks }) => sum + tasks, 0);
  const groups = [unheard, replacingGroup(state, run), ...told].filter((group) => group !== null);
  return [...wholeOrPaused(run, Math.max(0, left)), ...groups];
}

function wholeOrPaused(run: RunEntry, left: number): HeldBack {
  if (run.stopSequence > 0 || run.fold.isBudgetUsed)
    return [{ tasks: left, reason: { kind: 'stopping' } }];
  if (run.pauseSequence > run.resumedSequence)
    return [{ tasks: left, reason: pausedReason(run, null) }];
  return pausedGroups(run);
}

/** Tasks paused by themselves, by who did. */
function pausedGroups(run: RunEntry): Group[] {
  const groups = new Map<string, Group>();
  for (const id of new Set(run.fold.pauses.all.map(({ task }) => task))) {
    const task = id === null ? undefined : run.tasks.get(id);
    if (task?.phase !== 'pending' || isStopped(run, task) || !isPaused(run, task)) continue;
    const reason = pausedReason(run, task.id);
    const key = JSON.stringify(reason);
    const { tasks = 0, example = task.id } = groups.get(key) ?? {};
    groups.set(key, { tasks: tasks + 1, example, reason });
  }
  return [...groups.values()];
}

/** The one that is due first is the example. */
function backingOffGroup(state: CoreState, run: RunEntry): Group | null {
  let tasks = 0;
  let first: (Group & { readonly leftMs: number }) | null = null;
  for (const id of run.held.keys()) {
    const task = run.tasks.get(id);
    const reason = task === undefined ? null : heldReason(state, run, task);
    if (reason?.kind !== 'backing_off') continue;
    tasks += 1;
    const { leftMs } = reason;
    if (first === null || leftMs < first.leftMs) first = { tasks, example: id, reason, leftMs };
  }
  return first === null ? null : { tasks, example: first.example, reason: first.reason };
}

function decidingGroup({ undecided, tasks: all }: RunEntry): Group | null {
  const tasks = [...undecided.keys()]
    .map((id) => all.get(id))
    .filter((task) => task?.phase === 'deciding');
  const [first] = tasks;
  if (first === undefined) return null;
  const reason = { kind: 'deciding', n: first.n } as const;
  return { tasks: tasks.length, example: first.id, reason };
}

/** Gangs that go on, and wait for another host for a rank; the one with the least time left is the example. */
function replacingGroup(state: CoreState, run: RunEntry): Group | null {
  const waiting = [...run.gangs.keys()].flatMap((id) => {
    const task = run.tasks.get(id);
    const reason = task?.phase === 'assigned' ? replacingReason(state, run, task) : null;
    return reason === null ? [] : [{ example: id, reason }];
  });
  const [first] = waiting.sort((a, b) => a.reason.leftMs - b.reason.leftMs);
  return first === undefined ? null : { tasks: waiting.length, ...first };
}

/** With agents that are not heard: what became of them is not known. */
function unheardGroup({ fleet }: CoreState, run: RunEntry): Group | null {
  const tasks = new Set<string>();
  const agents = new Set<string>();
  let first: { readonly example: string; readonly agent: string; readonly n: number } | null = null;
  for (const { task: id, n, agent, superseded } of run.open.values()) {
    // A rank that goes on elsewhere is with another.
    if (superseded === true) continue;
    if (fleet.agents.get(agent)?.unreachable !== true) continue;
    const task = run.tasks.get(id);
    if (task?.phase !== 'assigned' || task.n !== n) continue;
    tasks.add(id);
    agents.add(agent);
    first ??= { example: id, agent, n };
  }
  if (first === null) return null;
  const { example, agent, n } = first;
  const reason = { kind: 'unknown', agent, n } as const;
  return { tasks: tasks.size, example, reason, agents: [...agents].sort() };
}
