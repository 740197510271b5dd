/**
 * Why a task does not run, and why an agent has room: the scheduler's own reasons, named. The kinds are
 * closed lists, so that each has its words in the CLI (the compiler asks for them).
 */
import { z } from 'zod';
import { RunId, Token } from '../ids.ts';
import { TaskOutcome } from '../attempt/outcome.ts';

const count = z.number().int().nonnegative();

/** Request to the leading coordinator: `explain`. One of the two. */
export const ExplainRequest = z.union([
  z.object({ run: RunId, task: Token }),
  z.object({ agent: Token }),
]);
export type ExplainRequest = z.infer<typeof ExplainRequest>;

/** What the order of a run goes by. `gone`: that run cannot be read, and tasks are served as listed. */
const RunOrder = z.object({
  by: z.enum(['longest-first', 'failed-first', 'random']),
  basis: RunId.nullable(),
  gone: z.boolean(),
});

/** Why an agent does not take a task that waits. */
export const AgentReason = z.discriminatedUnion('kind', [
  /** Silent past its lease. */
  z.object({ kind: z.literal('unreachable') }),
  /** It has said that it drains; with `ended`, that it has, and nothing has been heard of it since. */
  z.object({ kind: z.literal('draining'), ended: z.literal(true).optional() }),
  /** Nothing new is handed to it until that is taken back. */
  z.object({ kind: z.literal('cordoned'), by: z.string(), reason: z.string().nullable() }),
  /** It registered, and has not been heard since this coordinator leads. */
  z.object({ kind: z.literal('not_heard') }),
  /** More than it has at all. */
  z.object({
    kind: z.literal('never'),
    of: z.enum(['slots', 'cpus', 'gpus']),
    needs: count,
    has: count,
  }),
  /** Who has a higher priority or was submitted earlier is served first there. */
  z.object({ kind: z.literal('behind'), run: RunId, priority: z.number() }),
  /** The task needs the host to itself, and something runs there. */
  z.object({ kind: z.literal('alone') }),
  /** An attempt there has the host to itself. */
  z.object({ kind: z.literal('taken') }),
  /** Others hold them. */
  z.object({
    kind: z.literal('full'),
    of: z.enum(['slots', 'cpus', 'gpus']),
    needs: count,
    held: count,
    has: count,
  }),
  /** GPUs that no attempt may be given now; why, of each. */
  z.object({ kind: z.literal('fenced'), needs: count, usable: count, fences: z.array(z.string()) }),
  /** Other tasks of its run are served before it; `order` of one that is not served as listed. */
  z.object({ kind: z.literal('listed_before'), count, order: RunOrder.optional() }),
  /** Nothing: it is handed out next. */
  z.object({ kind: z.literal('next') }),
]);
export type AgentReason = z.infer<typeof AgentReason>;

/** Where a task stands. */
export const TaskReason = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ended'), outcome: TaskOutcome, reason: z.string().nullable() }),
  /** `waiting`: what its agent said it waits for there, beside its turn. */
  z.object({ kind: z.literal('running'), agent: z.string(), n: count }),
  z.object({
    kind: z.literal('handed_out'),
    agent: z.string(),
    n: count,
    waiting: z.string().nullable(),
  }),
  /** As one of those before, and its agent is not heard: nothing is known of it. */
  z.object({ kind: z.literal('unknown'), agent: z.string(), n: count }),
  /** Its attempt has ended, and what follows is being stored. */
  z.object({ kind: z.literal('deciding'), n: count }),
  z.object({ kind: z.literal('stopping') }),
  z.object({ kind: z.literal('paused'), by: z.string() }),
  z.object({ kind: z.literal('max_parallel'), limit: count }),
  /** The run that its order goes by is being read. */
  z.object({ kind: z.literal('ordering'), basis: RunId }),
  z.object({ kind: z.literal('no_agent') }),
  /** For a host: `agents` says for which reason each does not take it. */
  z.object({ kind: z.literal('waiting') }),
]);
export type TaskReason = z.infer<typeof TaskReason>;

export const TaskExplanation = z.object({
  run: RunId,
  task: Token,
  reason: TaskReason,
  /** Of a task that waits for a host; else empty. */
  agents: z.array(z.object({ agent: z.string(), reason: AgentReason })),
});
export type TaskExplanation = z.infer<typeof TaskExplanation>;

export const AgentExplanation = z.object({
  agent: z.string(),
  slots: count,
  /** Handed to it and not ended: what runs there, and what is queued there behind it. */
  handedOut: count,
  /** Runs with tasks that wait, first served first, and why none of them is on its way there. */
  runs: z.array(
    z.object({ run: RunId, priority: z.number(), waiting: count, reason: AgentReason }),
  ),
  /** Runs with tasks that wait for something else than a host: their own `maxParallel`. */
  heldBack: z.array(z.object({ run: RunId, limit: count, waiting: count })),
  /** Why it takes nothing at all; null where it may. */
  closed: AgentReason.nullable(),
});
export type AgentExplanation = z.infer<typeof AgentExplanation>;

export const ExplainReply = z.union([TaskExplanation, AgentExplanation]);
export type ExplainReply = z.infer<typeof ExplainReply>;
