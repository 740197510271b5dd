/**
 * Why a task does not run, and why an agent has room: the scheduler's own reasons, named. The kinds are
 * closed lists, so that each has its words in the CLI (the compiler asks for them).
 */
import { z } from 'zod';
import { RunId, Token } from '../ids.ts';
import { Preemptor } from './command.ts';
import { TaskOutcome } from '../attempt/outcome.ts';

const count = z.number().int().nonnegative();

/** Request to the leading coordinator: `explain`. One of the three. */
export const ExplainRequest = z.union([
  z.object({ run: RunId, task: Token }),
  z.object({ agent: Token }),
  z.object({ run: RunId }),
]);
export type ExplainRequest = z.infer<typeof ExplainRequest>;

/** What the order of a run goes by. `gone`: that run cannot be read, and tasks are served as listed. */
const RunOrder = z.object({
  by: z.enum(['longest-first', 'failed-first', 'random']),
  basis: RunId.nullable(),
  gone: z.boolean(),
});

const Resource = z.enum(['slots', 'cpus', 'memory', 'gpus']);
export type Resource = z.infer<typeof Resource>;

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
  /** More than it has at all; `wish`: what each of the GPUs must be. Memory in MiB. */
  z.object({
    kind: z.literal('never'),
    of: Resource,
    needs: count,
    has: count,
    wish: z.string().optional(),
  }),
  /** A label of it is not as the task needs it; `wanted` in words, `has` null where it has none. */
  z.object({
    kind: z.literal('label'),
    label: z.string(),
    wanted: z.string(),
    has: z.string().nullable(),
  }),
  /** The task is for hosts of other names. */
  z.object({ kind: z.literal('other_host'), wanted: z.array(z.string()) }),
  /** Its config does not let it take the task; `accepts` in words. */
  z.object({ kind: z.literal('not_accepted'), accepts: z.string() }),
  /** Who has a higher priority or was submitted earlier is served first there. */
  z.object({
    kind: z.literal('behind'),
    run: RunId,
    priority: z.number(),
    /** Of the same priority: slots (or GPUs, where more) that run has in hand, and the task's own run. */
    inHand: z.object({ it: count, own: count }).optional(),
  }),
  /** The task needs the host to itself, and something runs there. */
  z.object({ kind: z.literal('alone') }),
  /** An attempt there has the host to itself. */
  z.object({ kind: z.literal('taken') }),
  /** Others hold them. */
  z.object({
    kind: z.literal('full'),
    of: Resource,
    needs: count,
    held: count,
    has: count,
  }),
  /** Others hold so many of a lock; `by`: the run whose suite gives it no more. */
  z.object({
    kind: z.literal('lock'),
    lock: z.string(),
    needs: count,
    held: count,
    has: count,
    by: RunId,
    /** Attempts that have ended and left processes which hold some of it; absent: none. */
    survivors: z.array(z.object({ attempt: z.string(), agent: Token })).optional(),
  }),
  /** What is free of a lock is kept for a task that is served first, of this run. */
  z.object({ kind: z.literal('lock_kept'), lock: z.string(), run: RunId }),
  /** Something is on its host that the task must not share one with, or that must not with it. */
  z.object({ kind: z.literal('apart'), from: z.string() }),
  /** GPUs that no attempt may be given now; why, of each. */
  z.object({ kind: z.literal('fenced'), needs: count, usable: count, fences: z.array(z.string()) }),
  /** Other tasks of its run are served before it; `order` of one that is not served as listed. */
  z.object({ kind: z.literal('listed_before'), count, order: RunOrder.optional() }),
  /** Kept for that task, which takes several hosts at once and waits for more of them. */
  z.object({ kind: z.literal('reserved'), run: RunId, task: Token }),
  /** Its host has, or had, a rank of the attempt that looks for another host for one. */
  z.object({ kind: z.literal('has_rank') }),
  /** It has room for one rank of a task that waits for more hosts. */
  z.object({ kind: z.literal('has_room') }),
  /** Nothing: it is handed out next. */
  z.object({ kind: z.literal('next') }),
]);
export type AgentReason = z.infer<typeof AgentReason>;
/** For which it never will, as things are. */
export type Misfit = Extract<
  AgentReason,
  { kind: 'never' | 'label' | 'other_host' | 'not_accepted' }
>;

/** No agent that has joined could ever run it. */
export const Unplaceable = z.object({
  tasks: count,
  /** For which the nearest of them does not take it; null: none has joined. */
  reason: AgentReason.nullable(),
  agent: z.string().nullable(),
  /** Hosts that each takes at once, where some could run it, and how many could. */
  hosts: z.object({ needs: count, could: count }).optional(),
});
export type Unplaceable = z.infer<typeof Unplaceable>;

/** A task that takes several hosts at once waits until as many have room at the same moment. */
const GangWait = z.object({
  hosts: count,
  /** How many of those that are there could ever run a rank of it, and have room for one now. */
  could: count,
  ready: count,
  /** Whose turn it is to have hosts kept for it: this task, or another one; null for none. */
  kept: z.object({ run: RunId, task: Token, own: z.boolean() }).nullable(),
});
export type GangWait = z.infer<typeof GangWait>;

/** Where a task stands. */
export const TaskReason = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ended'), outcome: TaskOutcome, reason: z.string().nullable() }),
  /** `waiting`: what its agent said it waits for there, beside its turn. */
  z.object({
    kind: z.literal('running'),
    agent: z.string(),
    n: count,
    /** Of a task on several hosts: those that have not ended, and what it waits for at a barrier. */
    agents: z.array(z.string()).optional(),
    waiting: z.string().optional(),
  }),
  z.object({
    kind: z.literal('handed_out'),
    agent: z.string(),
    n: count,
    agents: z.array(z.string()).optional(),
    waiting: z.string().nullable(),
    /** Attempts of lower priority that are ended for it there; absent: none. */
    preempts: z.array(Preemptor).optional(),
    /** The attempt before was ended for that task. */
    preemptedBy: Preemptor.optional(),
  }),
  /** A rank of it is lost, and another host is looked for while the others run, for so long. */
  z.object({
    kind: z.literal('replacing_rank'),
    n: count,
    rank: count,
    lost: z.string(),
    leftMs: count,
    /** Those of the other ranks. */
    agents: z.array(z.string()),
  }),
  /** As one of those before, and its agent is not heard: nothing is known of it. */
  z.object({ kind: z.literal('unknown'), agent: z.string(), n: count }),
  /** Its attempt has ended, and what follows is being stored. */
  z.object({ kind: z.literal('deciding'), n: count }),
  z.object({ kind: z.literal('stopping') }),
  z.object({ kind: z.literal('paused'), by: z.string() }),
  /** An attempt has failed; attempt `n` is held back for so long. */
  z.object({ kind: z.literal('backing_off'), n: count, leftMs: count }),
  z.object({ kind: z.literal('max_parallel'), limit: count }),
  /** The run that its order goes by is being read. */
  z.object({ kind: z.literal('ordering'), basis: RunId }),
  z.object({ kind: z.literal('no_agent') }),
  /** No agent that has joined could ever run it; the nearest one, and why it does not. */
  z.object({ kind: z.literal('unplaceable'), agent: z.string(), nearest: AgentReason }),
  /** It takes so many hosts at once, and so many of those that have joined could ever run it. */
  z.object({ kind: z.literal('few_hosts'), needs: count, could: count }),
  /** For a host: `agents` says for which reason each does not take it. */
  z.object({
    kind: z.literal('waiting'),
    gang: GangWait.optional(),
    /** Its attempt was ended for that task. */
    preemptedBy: Preemptor.optional(),
    /** It will end attempts of lower priority when they have run for long enough. */
    mayPreempt: z.literal(true).optional(),
  }),
]);
export type TaskReason = z.infer<typeof TaskReason>;

export const TaskExplanation = z.object({
  run: RunId,
  task: Token,
  reason: TaskReason,
  /** Of a task that waits for a host; else empty. */
  agents: z.array(z.object({ agent: z.string(), reason: AgentReason })),
  /** In words, where its next attempt needs more than its suite says. */
  raised: z.string().optional(),
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
  /** Tasks that failed there in a row, the newest last; absent where the last has passed. */
  failing: z
    .object({
      tasks: z.array(z.string()),
      /** So many cordon it, unless it is so elsewhere; 0: nothing does. */
      cordonAfter: count,
      /** Agents on which tasks like them passed since then, and those on which all failed. */
      others: z.object({ passing: z.array(z.string()), failing: z.array(z.string()) }),
    })
    .optional(),
});
export type AgentExplanation = z.infer<typeof AgentExplanation>;

export const RunExplanation = z.object({
  run: RunId,
  tasks: count,
  ended: count,
  /** With agents, and not ended. */
  handedOut: count,
  /** Of those that wait for a host, by why. */
  groups: z.array(
    z.object({
      tasks: count,
      /** The first of them that is served. */
      example: Token,
      reason: TaskReason,
      agents: TaskExplanation.shape.agents,
    }),
  ),
  /** Tasks that wait for a host and are in none of these groups. */
  more: count,
  /** What waits for something else than a host, or is with agents that are not heard, by why. */
  heldBack: z
    .array(
      z.object({
        tasks: count,
        /** Absent where the run is held back as a whole. */
        example: Token.optional(),
        reason: TaskReason,
        /** Those that are not heard. */
        agents: z.array(z.string()).optional(),
      }),
    )
    .default([]),
  /** Neither ended, nor with an agent, nor waiting for a host, nor held back as above. */
  other: count,
});
export type RunExplanation = z.infer<typeof RunExplanation>;

export const ExplainReply = z.union([TaskExplanation, AgentExplanation, RunExplanation]);
export type ExplainReply = z.infer<typeof ExplainReply>;
