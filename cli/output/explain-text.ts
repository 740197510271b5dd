/** The scheduler's reasons in words: the one place for them, and the compiler sees that none is missing. Pure. */
import type {
  AgentExplanation,
  AgentReason,
  TaskExplanation,
  TaskReason,
} from '#protocol/messages/run/explain.ts';
import type { AgentCordoned } from '#protocol/messages/agent/host.ts';
import { plural } from './format.ts';
import { oneLine, truncate } from './text.ts';

/** Columns of the terminal; null into a pipe. */
type Width = number | null;

export function taskReasonText(reason: TaskReason): string {
  switch (reason.kind) {
    case 'ended':
      return `it has ended: ${reason.outcome}${reason.reason === null ? '' : `, ${reason.reason}`}`;
    case 'running':
      return `it runs on ${reason.agent}, attempt ${reason.n}`;
    case 'handed_out':
      return `attempt ${reason.n} is with ${reason.agent} and waits there for ${
        reason.waiting === null ? 'its turn' : `this: ${reason.waiting}`
      }`;
    case 'unknown':
      return `attempt ${reason.n} is with ${reason.agent}, which is not heard: what became of it is not known`;
    case 'deciding':
      return `attempt ${reason.n} has ended, and what follows is being stored`;
    case 'stopping':
      return 'it is being stopped, and never begins again';
    case 'paused':
      return `it is paused by ${reason.by}: benchmesh resume lets it go on`;
    case 'max_parallel':
      return `its run has ${plural(reason.limit, 'task')} under way, and its maxParallel allows no more`;
    case 'ordering':
      return `the results of run ${reason.basis} are being read: the order of its run goes by them`;
    case 'no_agent':
      return 'no agent has joined the mesh';
    case 'waiting':
      return 'it waits for a host';
  }
}

const NOUNS = { slots: 'slot', cpus: 'CPU', gpus: 'GPU' } as const;

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
    case 'never': {
      const kind = reason.of === 'gpus' ? ' of one kind' : '';
      return `never: ${plural(reason.needs, NOUNS[reason.of])} needed, it has ${reason.has}${kind}`;
    }
    case 'behind':
      return `run ${reason.run} (priority ${reason.priority}) is served first`;
    case 'alone':
      return 'the host is needed alone, and something else runs there';
    case 'taken':
      return 'something there has the host to itself';
    case 'full':
      return `full: ${plural(reason.needs, NOUNS[reason.of])} needed, ${reason.held} of ${reason.has} handed out`;
    case 'fenced':
      return `${plural(reason.needs, 'GPU')} needed, ${reason.usable} may be used now; fenced: ${reason.fences.join('; ')}`;
    case 'listed_before':
      return listedBeforeText(reason);
    case 'next':
      return 'nothing is in its way: it is handed out next';
  }
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
  { run, task, reason, agents }: TaskExplanation,
  width: Width,
): string[] {
  const rows = gathered(agents).map(({ names, text }) => `  ${namesOf(names)}: ${text}`);
  return [`task ${run}/${task}: ${taskReasonText(reason)}`, ...rows].map(fitting(width));
}

export function agentExplanationLines(explanation: AgentExplanation, width: Width): string[] {
  const { agent, slots, handedOut, runs, heldBack, closed } = explanation;
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
    ...(waiting.length === 0 ? ['  no task waits for a host'] : waiting),
  ].map(fitting(width));
}

const fitting =
  (width: Width) =>
  (line: string): string => {
    const text = line.startsWith('  ') ? `  ${oneLine(line.slice(2))}` : oneLine(line);
    return width === null ? text : truncate(text, width);
  };

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
