/**
 * A rank of a gang whose host is lost, and which begins anew on another host.
 *
 *   its revoke stored -> rank_lost -> (a host is waited for) -> rank_replaced -> start, and peers to the others
 *
 * The rank of before stays known by its agent: what it says afterwards changes nothing.
 */
import { z } from 'zod';
import { GangPeer } from './gang.ts';
import { RunId, Token } from '../ids.ts';

const n = z.number().int().positive();
const rank = z.number().int().positive();

/** It was given up on that agent, and the other ranks go on. Only writer: the leading coordinator (I1). */
export const TaskRankLost = z.object({
  n,
  rank,
  agent: Token,
  reason: z.string(),
  /** So long a host is waited for; then the gang ends. */
  withinMs: z.number().positive(),
});
export type TaskRankLost = z.infer<typeof TaskRankLost>;

/** It begins anew there; the start and the word to the other ranks are made from this. */
export const TaskRankReplaced = z.object({
  n,
  rank,
  /** Counts the replacements of the attempt, from 1. */
  epoch: z.number().int().positive(),
  /** Who had it. */
  lost: Token,
  peer: GangPeer,
});
export type TaskRankReplaced = z.infer<typeof TaskRankReplaced>;

/** To one rank: where all of them are from now on. An older one than it knows changes nothing. */
export const PeersCommand = z.object({
  run: RunId,
  task: Token,
  n,
  epoch: z.number().int().positive(),
  peers: z.array(GangPeer).min(2),
});
export type PeersCommand = z.infer<typeof PeersCommand>;
