/** Where the other ranks of a gang are, as its agent keeps it while ranks are replaced. Pure. */
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { GangPeer } from '#protocol/messages/attempt/gang.ts';

/** So many ranks were replaced when they were there. */
export interface Peers {
  readonly epoch: number;
  readonly peers: readonly GangPeer[];
}

/** The same where it is no rank, or knows of that replacement already. */
export function withPeers<S extends Pick<AttemptSpec, 'gang'>>(
  spec: S,
  { epoch, peers }: Peers,
): S {
  const { gang } = spec;
  if (gang === undefined || epoch <= (gang.epoch ?? 0)) return spec;
  return { ...spec, gang: { ...gang, epoch, peers: [...peers] } };
}

/** What a rank that runs can read again and again. */
export function peersText({ gang }: Pick<AttemptSpec, 'gang'>): string | null {
  if (gang === undefined) return null;
  const { rank, epoch = 0, peers } = gang;
  const rows = peers.map(({ host, address }, at) => ({ rank: at, host, address }));
  return `${JSON.stringify({ epoch, rank, peers: rows })}\n`;
}
