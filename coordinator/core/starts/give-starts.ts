/**
 * The commands that give starts to agents. What goes to one agent in one turn is one command: each stored one
 * costs the server more than what is in it, and is looked at by the mailbox of every agent.
 *
 * 1. Each start keeps its id, and with the sequence of the command its place in the stream: all that is known
 *    by them is as it is of a command alone. The command goes with the last of its attempts (old-starts.ts).
 * 2. The id of the command is that of its first start, and how many follow: an attempt has one start, so no
 *    other command ever has it.
 * 3. Agents that do not say that they read several get one at a time. So do ranks of gangs.
 */
import type { GivenStart } from '#protocol/messages/run/command.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { FleetState } from '../../fleet/fleet-reducer.ts';
import { openAttempt } from '../../runs/run-reducer.ts';
import { publish, type Context } from '../core-state.ts';

/** Starts live below 7 days; then they are as if never given. */
const START_TTL_SECONDS = 6 * 24 * 3_600;
/**
 * In one command of several: who reads BM_COMMANDS has a thousand messages on their way, and an agent journals all
 * of it before it begins any. That is some thirty starts, and of more each costs hardly less.
 */
const BYTES_MOST = 32 * 1024;

export interface StartFor {
  readonly agent: string;
  readonly run: string;
  readonly start: GivenStart;
}

export function giveStarts(context: Context, given: readonly StartFor[]): void {
  const groups = new Map<string, StartFor[]>();
  for (const one of given) {
    const key = `${one.agent} ${one.run}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  for (const group of groups.values()) {
    const most = mostAtOnce(context.state.fleet, group);
    for (let from = 0; from < group.length; from += most)
      give(context, group.slice(from, from + most));
  }
}

/** No stream takes so many at once: one by one, where they are still to be started. */
export function giveSingly(
  context: Context,
  { agent, run: id }: Pick<StartFor, 'agent' | 'run'>,
  starts: readonly GivenStart[],
): void {
  const run = context.state.runs.get(id);
  for (const start of starts) {
    const { task, n } = start.spec;
    const open = run === undefined ? undefined : openAttempt(run, { task, n, agent });
    if (open?.sequence === null) give(context, [{ agent, run: id, start }]);
  }
}

/** Specs of a run are alike: the first tells how long they are. */
function mostAtOnce(fleet: FleetState, [first, second]: readonly StartFor[]): number {
  if (first === undefined || second === undefined) return 1;
  const { reads = [] } = fleet.agents.get(first.agent)?.registration ?? {};
  if (!reads.includes('command.starts')) return 1;
  return Math.max(1, Math.floor(BYTES_MOST / Buffer.byteLength(JSON.stringify(first.start))));
}

/** All of one agent and run. */
function give(context: Context, [first, ...more]: readonly StartFor[]): void {
  if (first === undefined) return;
  const { id, ...alone } = first.start;
  const as = {
    subject: subjects.command(first.agent, 'start', first.run),
    ttl: START_TTL_SECONDS,
    // One in flight at a time would hold slots up; a repeat is recognised by its id.
    unordered: true,
  };
  if (more.length === 0) publish(context, { ...as, name: 'command.start', data: alone, id });
  else
    publish(context, {
      ...as,
      name: 'command.starts',
      data: { starts: [first, ...more].map(({ start }) => start) },
      id: `${id}_and${more.length}`,
    });
}
