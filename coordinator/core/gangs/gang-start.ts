/** From a placement of a task on several hosts to the starts of its ranks. */
import type { GangPeer } from '#protocol/messages/attempt/gang.ts';
import { gangOf } from '../../runs/gang-state.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import type { GangPlacement } from '../../scheduler/gang-policy.ts';
import type { Context, CoreState } from '../core-state.ts';
import { startRanks } from './gang.ts';
import { hold, vacated } from '../starts/places.ts';
import { sayStarted, sayUnstartable, specOf } from '../starts/start.ts';
import { stopsOf } from '../ends/stops.ts';

export function startGang(context: Context, { run: id, index, agents }: GangPlacement): void {
  const run = context.state.runs.get(id);
  const task = run?.listed[index];
  if (run === undefined || task === undefined) return;
  sayStarted(context, run);
  startOn(context, { run, task }, registeredPeers(context.state, agents));
}

/** Every rank of it that has no start; those that a leader before has started stay as they are. */
function startOn(
  context: Context,
  { run, task }: { readonly run: RunEntry; readonly task: TaskEntry },
  peers: readonly GangPeer[],
): void {
  const spec = specOf(run, task);
  if (typeof spec !== 'string') {
    startRanks(context, { run, task }, { spec, peers, stops: stopsOf(context.state, run.id) });
    return;
  }
  const { index } = task;
  for (const { agent } of peers) vacated(context, run, { index, agent, heldMs: null });
  task.phase = 'leaving';
  sayUnstartable(context, run, { task: task.id, n: task.n, reason: spec });
}

/** What was placed, and not started, is: where a leader before has placed it, it takes its place now. */
export function resumeStarts(
  context: Context,
  { run, task }: { readonly run: RunEntry; readonly task: TaskEntry },
  { peers, isHeld = false }: { readonly peers: readonly GangPeer[]; readonly isHeld?: boolean },
): void {
  const gang = gangOf(run, task);
  const isDue = (rank: number): boolean => {
    const own = gang?.ranks[rank];
    return own?.start === 'no' && own.lost === null;
  };
  for (const { agent } of peers.filter((_, rank) => isDue(rank) && !isHeld))
    hold(context, run, { task: task.id, agent });
  startOn(context, { run, task }, peers);
}

/** As registered: what was placed has joined. */
export function registeredPeers({ fleet }: CoreState, agents: readonly string[]): GangPeer[] {
  return agents.map((agent) => {
    const known = fleet.agents.get(agent)?.registration;
    return { agent, host: known?.hostname ?? agent, address: known?.address ?? '' };
  });
}
