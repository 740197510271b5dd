/** The scheduler's reasons in words: the one place for them, and the compiler sees that none is missing. Pure. */
import type {
  AgentExplanation,
  AgentReason,
  GangWait,
  RunExplanation,
  TaskExplanation,
  TaskReason,
} from '#protocol/messages/run/explain.ts';
import { amountText, misfitText, unplaceableText } from '#protocol/messages/agent/fit.ts';
import { sizeText } from '#protocol/messages/agent/gpu-match.ts';
import type { AgentCordoned } from '#protocol/messages/agent/host.ts';
import { duration, plural } from './format.ts';
import { oneLine, wrap } from './text.ts';

/** Columns of the terminal; null into a pipe. */
type Width = number | null;

export function taskReasonText(reason: TaskReason): string {
  switch (reason.kind) {
    case 'ended':
      return `it has ended: ${reason.outcome}${reason.reason === null ? '' : `, ${reason.reason}`}`;
    case 'running':
      return `it runs on ${agentsText(reason)}, attempt ${reason.n}${
        reason.waiting === undefined ? '' : `, and waits there for this: ${reason.waiting}`
      }`;
    case 'handed_out':
      return `attempt ${reason.n} is with ${agentsText(reason)} and waits there for ${
        reason.waiting === null ? turnText(reason) : `this: ${reason.waiting}`
      }`;
    case 'replacing_rank':
      return replacingText(reason);
    case 'unknown':
      return `attempt ${reason.n} is with ${reason.agent}, which is not heard: what became of it is not known`;
    case 'deciding':
      return `attempt ${reason.n} has ended, and what follows is being stored`;
    case 'stopping':
      return 'it is being stopped, and never begins again';
    case 'paused':
      return `it is paused by ${reason.by}: benchmesh resume lets it go on`;
    case 'backing_off':
      return `attempt ${reason.n - 1} failed: retry ${reason.n - 1} in ${duration(reason.leftMs)}`;
    case 'max_parallel':
      return `its run has ${plural(reason.limit, 'task')} under way, and its maxParallel allows no more`;
    case 'ordering':
      return `the results of run ${reason.basis} are being read: the order of its run goes by them`;
    case 'no_agent':
      return 'no agent has joined the mesh';
    case 'unplaceable':
      return `no agent that has joined could ever run it; the nearest is ${reason.agent}`;
    case 'few_hosts':
      return `it needs ${reason.needs} hosts at once, and only ${reason.could} that ${reason.could === 1 ? 'has' : 'have'} joined could ever run it`;
    case 'waiting':
      return reason.gang === undefined ? hostText(reason) : gangText(reason.gang);
  }
}

/** `attempt 1: the host of its rank 2 (a3) is lost; another one is looked for, for 1m more; the others run on a1 and a2`. */
function replacingText(reason: Extract<TaskReason, { kind: 'replacing_rank' }>): string {
  const { n, rank, lost, leftMs, agents } = reason;
  const others = agentsText({ agent: agents[0] ?? 'none', agents });
  return (
    `attempt ${n} goes on with ${others}, and waits for another host for its rank ${rank}: ` +
    `${lost} is lost; without one in ${duration(leftMs)} it ends`
  );
}

/** `its turn`, or what it waits for the end of. */
function turnText({
  preempts = [],
  preemptedBy,
}: Extract<TaskReason, { kind: 'handed_out' }>): string {
  const names = preempts.map(({ run, task }) => `${run}/${task}`);
  if (names.length > 0)
    return `the end of ${names.join(', ')}, of a lower priority, which it pre-empts`;
  if (preemptedBy === undefined) return 'its turn';
  return `room: it was pre-empted by ${preemptedBy.run}/${preemptedBy.task}`;
}

function hostText({ preemptedBy, mayPreempt }: Extract<TaskReason, { kind: 'waiting' }>): string {
  const soon =
    mayPreempt === true ? '; it pre-empts a lower priority that has run for long enough' : '';
  if (preemptedBy === undefined) return `it waits for a host${soon}`;
  return `it was pre-empted by ${preemptedBy.run}/${preemptedBy.task}, and waits for room${soon}`;
}

function agentsText({
  agent,
  agents = [agent],
}: Pick<Extract<TaskReason, { kind: 'running' }>, 'agent' | 'agents'>): string {
  return agents.length > 1 ? `${agents.slice(0, -1).join(', ')} and ${agents.at(-1) ?? ''}` : agent;
}

/** `it waits for 3 hosts at once: 2 of 4 that could run it have room now; hosts are kept for it`. */
function gangText({ hosts, could, ready, kept }: GangWait): string {
  const text = `it waits for ${hosts} hosts at once: ${ready} of ${could} that could run it ${ready === 1 ? 'has' : 'have'} room now`;
  if (kept === null) return text;
  return `${text}; hosts are kept for ${kept.own ? 'it' : `${kept.run}/${kept.task}, which is served first`}`;
}

export function agentReasonText(reason: AgentReason): string {
  switch (reason.kind) {
    case 'unreachable':
      return 'it is not heard';
    case 'draining':
      return reason.ended === true
        ? 'it has ended: it takes nothing until it is started again'
        : 'it drains: it takes nothing new';
    case 'cordoned':
      return cordonText(reason);
    case 'not_heard':
      return 'it was not heard since the coordinator began';
    case 'never':
    case 'label':
    case 'other_host':
    case 'not_accepted':
      return misfitText(reason);
    case 'behind':
      return `run ${reason.run} (priority ${reason.priority}) is served first${shareText(reason)}`;
    case 'alone':
      return 'the host is needed alone, and something else runs there';
    case 'taken':
      return 'something there has the host to itself';
    case 'full':
      return `full: ${amountText(reason.of, reason.needs)} needed, ${heldText(reason)} handed out`;
    case 'lock':
      return lockText(reason);
    case 'lock_kept':
      return `lock ${reason.lock}: what is free of it is kept for run ${reason.run}, which is served first`;
    case 'apart':
      return `something there must not share a host with it: ${reason.from}`;
    case 'fenced':
      return `${plural(reason.needs, 'GPU')} needed, ${reason.usable} may be used now; fenced: ${reason.fences.join('; ')}`;
    case 'listed_before':
      return listedBeforeText(reason);
    case 'reserved':
      return `it is kept for ${reason.run}/${reason.task}, which takes several hosts at once and is served first`;
    case 'has_rank':
      return 'its host has, or had, a rank of this attempt';
    case 'has_room':
      return 'it has room, and more hosts are waited for';
    case 'next':
      return 'nothing is in its way: it is handed out next';
  }
}

function lockText(reason: Extract<AgentReason, { kind: 'lock' }>): string {
  const { lock, needs, held, has, by, survivors = [] } = reason;
  const left = survivors.map(({ attempt, agent }) => `${attempt} on ${agent}`).join(', ');
  const also = left === '' ? '' : `; processes left by ${left} hold some until they are gone`;
  return `lock ${lock}: ${needs} needed, ${held} of ${has} held (as many as run ${by} says there are)${also}`;
}

function heldText({ of, held, has }: Extract<AgentReason, { kind: 'full' }>): string {
  return of === 'memory' ? `${sizeText(held)} of ${sizeText(has)}` : `${held} of ${has}`;
}

function listedBeforeText({
  count,
  order,
}: Extract<AgentReason, { kind: 'listed_before' }>): string {
  const before = `${plural(count, 'task')} of its run ${count === 1 ? 'is' : 'are'}`;
  if (order === undefined) return `${before} listed before it`;
  const { by, basis, gone } = order;
  if (gone)
    return `${before} listed before it (not ${by}: run ${basis ?? ''}, which that goes by, is gone)`;
  if (by === 'random') return `${before} served before it (random order)`;
  return basis === null
    ? `${before} listed before it (${by}, and this is the first run of the suite)`
    : `${before} served before it (${by}, by run ${basis})`;
}

/** `it is cordoned by ann@box: loud fan`. */
export function cordonText({ by, reason }: AgentCordoned): string {
  return `it is cordoned by ${by}${reason === null ? '' : `: ${reason}`}`;
}

export function taskExplanationLines(
  { run, task, reason, agents, raised }: TaskExplanation,
  width: Width,
): string[] {
  const rows = gathered(agents).map(({ names, text }) => `  ${namesOf(names)}: ${text}`);
  const more = raised === undefined ? [] : [`  its needs were raised to ${raised}`];
  return [`task ${run}/${task}: ${taskReasonText(reason)}`, ...more, ...rows].flatMap(
    fitting(width),
  );
}

export function runExplanationLines(
  { run, tasks, ended, handedOut, groups, more, heldBack, other }: RunExplanation,
  width: Width,
): string[] {
  const rows = groups.flatMap((group) => [
    `  ${plural(group.tasks, 'task')} such as ${group.example}: ${groupText(group)}`,
    ...gathered(group.agents).map(({ names, text }) => `    ${namesOf(names)}: ${text}`),
  ]);
  return [
    `run ${run}: ${ended} of ${plural(tasks, 'task')} ended, ${handedOut} with agents`,
    ...rows,
    ...(more > 0 ? [`  ${plural(more, 'task')} with other needs wait, too`] : []),
    ...heldBack.map((held) => `  ${heldBackText(held)}`),
    ...(other > 0 ? [`  ${plural(other, 'task')} being stopped or decided on`] : []),
  ].flatMap(fitting(width));
}

function heldBackText({
  tasks,
  example,
  reason,
  agents = [],
}: RunExplanation['heldBack'][number]): string {
  const all = plural(tasks, 'task');
  if (example === undefined) {
    const many = tasks === 0 ? '' : ` (${all})`;
    return reason.kind === 'paused'
      ? `the run is paused by ${reason.by}: benchmesh resume lets it go on${many}`
      : `the run is being stopped, and nothing of it begins again${many}`;
  }
  const which = `${all} such as ${example}`;
  if (tasks === 1) return `${which}: ${taskReasonText(reason)}`;
  switch (reason.kind) {
    case 'backing_off':
      return `${which}: an attempt failed, the first retry is in ${duration(reason.leftMs)}`;
    case 'unknown':
      return `${which}: with ${namesOf(agents)}, not heard: what became of them is not known`;
    case 'replacing_rank':
      return `${which}: they go on, and wait for another host for a rank; the first ends without one in ${duration(reason.leftMs)}`;
    case 'deciding':
      return `${which}: an attempt has ended, and what follows is being stored`;
    default:
      return `${which}: ${taskReasonText(reason)}`;
  }
}

function shareText({ inHand }: Extract<AgentReason, { kind: 'behind' }>): string {
  return inHand === undefined
    ? ''
    : `: it has ${plural(inHand.it, 'slot')} in hand, this one ${inHand.own}`;
}

/** Of tasks that wait for a host in the same way. */
function groupText({ tasks, reason }: RunExplanation['groups'][number]): string {
  if (reason.kind === 'unplaceable') {
    const { nearest, agent } = reason;
    return `unplaceable: ${unplaceableText({ tasks, reason: nearest, agent })}`;
  }
  return taskReasonText(reason);
}

export function agentExplanationLines(explanation: AgentExplanation, width: Width): string[] {
  const { agent, slots, handedOut, runs, heldBack, closed, failing } = explanation;
  const waiting = [
    ...runs.map(
      ({ run, waiting: count, reason }) =>
        `  run ${run}, ${plural(count, 'task')} waiting: ${agentReasonText(reason)}`,
    ),
    ...heldBack.map(
      ({ run, waiting: count, limit }) =>
        `  run ${run}, ${plural(count, 'task')} waiting: its maxParallel allows ${limit} at once`,
    ),
  ];
  const state = closed === null ? '' : `; ${agentReasonText(closed)}`;
  return [
    `agent ${agent}: ${plural(handedOut, 'attempt')} handed to its ${plural(slots, 'slot')}${state}`,
    ...(failing === undefined || closed?.kind === 'cordoned' ? [] : failingLines(failing)),
    ...(waiting.length === 0 ? ['  no task waits for a host'] : waiting),
  ].flatMap(fitting(width));
}

function failingLines({
  tasks,
  cordonAfter,
  others: { passing, failing },
}: NonNullable<AgentExplanation['failing']>): string[] {
  const last = tasks.at(-1) ?? '';
  const failed = `${plural(tasks.length, 'task')} in a row failed there, the last ${last}`;
  if (cordonAfter === 0) return [`  ${failed}`];
  if (tasks.length < cordonAfter) return [`  ${failed}: ${cordonAfter} different ones cordon it`];
  const elsewhere =
    passing.length + failing.length === 0
      ? 'no other agent that takes work has run any like them since'
      : `of others ${namesOf(failing) || 'none'} failed them too, ${namesOf(passing) || 'none'} passed some`;
  return [`  ${failed}; it is not cordoned: ${elsewhere}`];
}

/** Of a reason no word is left out: what does not fit goes on below it. */
const fitting =
  (width: Width) =>
  (line: string): string[] => {
    const indent = /^ */.exec(line)?.[0] ?? '';
    const text = oneLine(line.slice(indent.length));
    if (width === null) return [`${indent}${text}`];
    const [first = '', ...rest] = wrap(text, width - indent.length - HANGING.length);
    return [`${indent}${first}`, ...rest.map((more) => `${indent}${HANGING}${more}`)];
  };

const HANGING = '  ';

interface Gathered {
  readonly names: string[];
  readonly text: string;
}

/** A fleet of a thousand has few reasons. */
function gathered(agents: TaskExplanation['agents']): Gathered[] {
  const byText = new Map<string, string[]>();
  for (const { agent, reason } of agents) {
    const text = agentReasonText(reason);
    byText.set(text, [...(byText.get(text) ?? []), agent]);
  }
  return Array.from(byText, ([text, names]) => ({ text, names }));
}

const NAMED_MOST = 3;

function namesOf(names: readonly string[]): string {
  const named = names.slice(0, NAMED_MOST).join(', ');
  const more = names.length - NAMED_MOST;
  return more > 0 ? `${named} and ${more} more` : named;
}
