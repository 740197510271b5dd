/**
 * Commands: imperative, durable, idempotent by command id (the envelope's `id`).
 * Written by the leading coordinator; `stop` also by any operator (I6).
 */
import { z } from 'zod';
import { AttemptSpec } from '../attempt/attempt-spec.ts';
import { GangOver } from '../attempt/gang.ts';
import { RunId, Token } from '../ids.ts';

export const StartCommand = z.object({
  spec: AttemptSpec,
  /** Newest stop of the run or task the coordinator had read: its stream sequence, 0 for none. */
  afterStop: z.number().int().nonnegative(),
  /** Higher first in the agent's own queue; equal keeps the order of arrival. */
  priority: z.number().int(),
});
export type StartCommand = z.infer<typeof StartCommand>;

/** One of several in a command: its id is what a command of its own would have. */
export const GivenStart = StartCommand.extend({ id: z.string().min(1).max(128) });
export type GivenStart = z.infer<typeof GivenStart>;

/**
 * Several starts of one run for one agent, in the order in which they are given. Each is a start of its own in
 * all but the message: one that cannot be read is reported and does not take the others with it.
 */
export const StartsCommand = z.object({
  starts: z.array(z.union([GivenStart, GivenStart.pick({ id: true })])).min(1),
});
export type StartsCommand = z.infer<typeof StartsCommand>;

/**
 * Take back what has not started: the attempt answers, by an exit of class `drained`, or by having begun. Of
 * `superseded` the ack `revoke_answered` follows once it has ended.
 */
export const RevokeCommand = z.object({
  run: RunId,
  task: Token,
  n: z.number().int().positive(),
  /**
   * Its agent was given up: what runs of it is ended, too, and proven dead. Absent: only what waits is taken
   * back.
   */
  superseded: z.literal(true).optional(),
  /** Of a rank whose gang is over: it ends also where it has started, and its exit says so. */
  gang: GangOver.optional(),
});
export type RevokeCommand = z.infer<typeof RevokeCommand>;

/** Why a stop came, where nobody asked for it: the run's time is over, or that of its gang. */
export const StopCause = z.enum(['budget', 'gang']);
export type StopCause = z.infer<typeof StopCause>;

/** The task of a higher priority that an attempt had to make room for. */
export const Preemptor = z.object({ run: RunId, task: Token });
export type Preemptor = z.infer<typeof Preemptor>;

export const StopCommand = z.object({
  run: RunId,
  /** One task, or null for the whole run. */
  task: Token.nullable(),
  /** Overrides the suite's grace; null keeps it. */
  graceMs: z.number().nonnegative().nullable(),
  /** Kill at once, no grace. */
  now: z.boolean(),
  by: z.string(),
  reason: z.string().nullable(),
  /** Absent: somebody asked for it. */
  cause: StopCause.optional(),
  /** The target is to go on later: what runs of it is ended all the same, and none of it has failed. */
  pause: z.literal(true).optional(),
  /** With `pause`, of one task: it goes on at once, with its next attempt. */
  requeue: z.literal(true).optional(),
  /** With `requeue`, of the coordinator: what the attempt makes room for. */
  preemptedBy: Preemptor.optional(),
});
export type StopCommand = z.infer<typeof StopCommand>;

/** The run is archived: drop its journal entries and folders. */
export const ReleaseCommand = z.object({ run: RunId });
export type ReleaseCommand = z.infer<typeof ReleaseCommand>;

/** Start nothing new; what runs goes on. Holds until it is taken back, over restarts too. */
export const DrainCommand = z.object({ by: z.string(), reason: z.string().nullable() });

/** Takes `drain` back. Not that of a process that was told to end. */
export const UndrainCommand = z.object({ by: z.string(), reason: z.string().nullable() });
