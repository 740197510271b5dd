/**
 * A gang: one task on several hosts at once. Each of its ranks is an attempt on an agent of its own; they
 * have the number in common, and end together.
 *
 *   starts (all or none) -> ready, from every rank -> one barrier opened -> go, to every rank -> ... -> exited
 *
 * One that ends and has not passed ends the others: by `revoke`, answered with their exits. One whose host is
 * lost may be replaced instead (rank-events.ts).
 */
import { z } from 'zod';
import { RunId, Token } from '../ids.ts';
import { GoOver, GoStage, RampRules } from './ramp.ts';

const rank = z.number().int().nonnegative();
const epoch = z.number().int().nonnegative();

/** Where a rank is. */
export const GangPeer = z.object({ agent: Token, host: z.string(), address: z.string() });
export type GangPeer = z.infer<typeof GangPeer>;

/** What one rank must know of its gang; in its start, so that any one start tells of all of them. */
export const GangSpec = z.object({
  rank,
  /** By rank; on different hosts. */
  peers: z.array(GangPeer).min(2),
  /** Of rank 0, for whatever the ranks meet by: `$MASTER_PORT`. */
  port: z.number().int().min(1).max(65_535),
  /** Ids of steps that begin on all hosts at once. */
  barriers: z.array(z.string()),
  /** How many ranks had been replaced when `peers` was so; absent: none. */
  epoch: epoch.optional(),
  /** Of a rank that replaces a lost one: how many were replaced then, with it. */
  since: epoch.optional(),
  /** Of the same: barriers that the others are through. */
  opened: z.array(z.string()).optional(),
});
export type GangSpec = z.infer<typeof GangSpec>;

/** Of a suite: what goes for its gangs. Absent: the defaults. */
export const GangRules = z.object({
  barriers: z.array(z.string()).optional(),
  port: z.number().int().min(1).max(65_535).optional(),
  /** Absent: all ranks begin their run together. */
  ramp: RampRules.optional(),
  /** A rank whose host is lost begins anew on another, if one is found in time. Absent: the gang ends. */
  onRankLost: z.object({ replaceWithinMs: z.number().positive() }).optional(),
});
export type GangRules = z.infer<typeof GangRules>;

/**
 * How the values of ranks become that of their gang. `merge`: the metric's figure over the samples of all
 * ranks, of a quantile within 1 %.
 */
export const RankOperator = z.enum(['sum', 'mean', 'max', 'min', 'merge']);
export type RankOperator = z.infer<typeof RankOperator>;

/** With whose acceptance: which rank it is, of how many. */
export const GangPlace = z.object({ rank, hosts: z.number().int().min(2) });
export type GangPlace = z.infer<typeof GangPlace>;

const elapsedMs = z.number().nonnegative();

/** A rank waits for the others before this step. */
export const AttemptReady = z.object({ elapsedMs, barrier: z.string() });

/** Every rank is ready: all begin at `startMs`, ms since 1970 UTC by the coordinator's clock. */
export const TaskBarrierOpened = z.object({
  n: z.number().int().positive(),
  barrier: z.string(),
  startMs: z.number(),
});
export type TaskBarrierOpened = z.infer<typeof TaskBarrierOpened>;

/** To one rank: the barrier is open. No rank waits longer than `withinMs` from then on, whatever its clock. */
export const GoCommand = z.object({
  run: RunId,
  task: Token,
  n: z.number().int().positive(),
  barrier: z.string(),
  startMs: z.number(),
  withinMs: z.number().nonnegative(),
  /** Of a gang that is started in steps (ramp.ts). */
  stage: GoStage.optional(),
  over: GoOver.optional(),
});
export type GoCommand = z.infer<typeof GoCommand>;

/** In a `revoke`: the gang is over, and this rank ends whatever it does. */
export const GangOver = z.object({ reason: z.string() });
export type GangOver = z.infer<typeof GangOver>;

/** How many hosts a task takes at once. */
export function hostsOf({ hosts = 1 }: { readonly hosts?: number | undefined }): number {
  return hosts;
}

/** For its acceptance; nothing for an attempt that is a task's only one. */
export function placeIn({ gang }: { readonly gang?: GangSpec | undefined }): { gang?: GangPlace } {
  return gang === undefined ? {} : { gang: { rank: gang.rank, hosts: gang.peers.length } };
}
