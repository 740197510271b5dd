/** What a rank of a gang is told of the others, in the mesh's names and in those that launchers know. Pure. */
import type { GangSpec } from '#protocol/messages/attempt/gang.ts';

export function gangEnv(
  { rank, peers, port, epoch = 0 }: GangSpec,
  peersFile: string,
): Readonly<Record<string, string>> {
  const place = {
    RANK: String(rank),
    WORLD_SIZE: String(peers.length),
    MASTER_ADDR: peers[0]?.address ?? '',
    MASTER_PORT: String(port),
  };
  return {
    ...place,
    ...Object.fromEntries(Object.entries(place).map(([key, value]) => [`BENCHMESH_${key}`, value])),
    BENCHMESH_PEERS: peers.map(({ address }) => address).join(','),
    BENCHMESH_PEER_HOSTS: peers.map(({ host }) => host).join(','),
    BENCHMESH_PEERS_FILE: peersFile,
    BENCHMESH_PEERS_EPOCH: String(epoch),
  };
}
