/** What a start must keep, checked at the moment at which the coordinator decides it. */
import type { CoreState, PublishEffect } from '#coordinator/core/core-state.ts';
import { isPaused } from '#coordinator/runs/run-reducer.ts';
import { FACTOR_MOST } from '#coordinator/scheduler/ahead-policy.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { GivenStart } from '#protocol/messages/run/command.ts';
import { readOf, startsIn } from '#protocol/messages/run/starts.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import type { MiniAgent } from './miniature-messages.ts';

interface Decided {
  readonly core: CoreState;
  readonly agents: readonly MiniAgent[];
  readonly commands: readonly (EventRecord | null)[];
}

/** Capacity and stops; none for starts that are right. */
export function startProblems(decided: Decided, effect: PublishEffect): string[] {
  const of =
    effect.name === 'command.start'
      ? [{ id: effect.id, ...effect.data }]
      : effect.name === 'command.starts'
        ? readOf(effect.data)
        : [];
  return of.flatMap((start) => problemsOf(decided, effect.subject, start));
}

function problemsOf(
  { core, agents, commands }: Decided,
  on: string,
  { id, spec }: GivenStart,
): string[] {
  const subject = parseSubject(on);
  const agent = agents.find(({ id }) => subject?.kind === 'command' && id === subject.agent);
  if (agent === undefined) return [];
  const inHand = (one: MiniAgent): { slots: number; exclusive: number; count: number } => {
    let [slots, exclusive, count] = [0, 0, 0];
    for (const run of core.runs.values()) {
      for (const open of run.open.values()) {
        if (open.agent !== one.id || open.exited || open.superseded === true) continue;
        slots += run.suite.needs.slots;
        exclusive += run.suite.needs.exclusive ? 1 : 0;
        count += 1;
      }
    }
    return { slots, exclusive, count };
  };
  const mine = inHand(agent);
  const others = agents.filter((one) => one !== agent && one.hostId === agent.hostId).map(inHand);
  const problems: string[] = [];
  const note = (problem: string): void => void problems.push(`${id}: ${problem}`);
  if ((core.fleet.agents.get(agent.id)?.cordon ?? null) !== null) note('starts under a cordon');
  if (mine.exclusive > FACTOR_MOST) note('too many exclusive attempts queued');
  if (mine.exclusive > 0 && mine.count > mine.exclusive) note('others beside an exclusive attempt');
  if (mine.exclusive > 0 && others.some(({ count }) => count > 0))
    note('exclusive on a shared host');
  if (mine.exclusive === 0 && others.some(({ exclusive }) => exclusive > 0)) note('host is taken');
  if (mine.exclusive === 0 && mine.slots > FACTOR_MOST * agent.slots)
    note('more than an agent is ever handed');
  const known = commands.flatMap((record) => (record === null ? [] : startsIn(record.message)));
  if (known.some((one) => one.id === id)) note('started again');
  const { run, task } = spec;
  const entry = core.runs.get(run);
  const stop = Math.max(entry?.stopSequence ?? 0, entry?.tasks.get(task)?.stopSequence ?? 0);
  if (stop > 0) note('starts under a stop');
  const of = entry?.tasks.get(task);
  if (entry !== undefined && of !== undefined && isPaused(entry, of)) note('starts while paused');
  return problems;
}

/** What is removed has ended, and its agent has read it. */
export function droppedTooSoon(
  { agents, commands }: Decided,
  { run, before }: { readonly run: string; readonly before: number },
): string[] {
  return commands.slice(0, before - 1).flatMap((record) => {
    if (record === null || !isStartOf(record, run)) return [];
    const subject = parseSubject(record.subject);
    const agent = agents.find(({ id }) => subject?.kind === 'command' && id === subject.agent);
    const isRead = agent?.seen.has(record.message.id) === true;
    const isLeft = startsIn(record.message).some(({ spec }) =>
      agent?.live.has(`${spec.run}/${spec.task}#${spec.n}`),
    );
    return isRead && !isLeft ? [] : [`${record.message.id}: removed too soon`];
  });
}

export function isStartOf({ message }: EventRecord, run: string): boolean {
  return startsIn(message).some(({ spec }) => spec.run === run);
}

/** What waits behind those that run, one of each slot, goes; what runs does not. */
export function givesBack({ live, begun, slots }: MiniAgent, key: string): boolean {
  if ([...live.keys()].indexOf(key) < slots) return false;
  begun.splice(begun.indexOf(key), 1);
  return true;
}
