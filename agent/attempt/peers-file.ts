/**
 * `$BENCHMESH_PEERS_FILE`: where the ranks of a gang are now. Whole at any moment: it is renamed into place.
 * Synchronous, as the folder of the attempt is made.
 */
import { renameSync, writeFileSync } from 'node:fs';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { AttemptPaths } from '../state/state-folder.ts';
import { peersText } from './gang-peers.ts';

/** Nothing for an attempt that is no rank. Throws system errors. */
export function writePeersFile(
  { peers }: Pick<AttemptPaths, 'peers'>,
  spec: Pick<AttemptSpec, 'gang'>,
): void {
  const text = peersText(spec);
  if (text === null) return;
  const fresh = `${peers}.tmp`;
  writeFileSync(fresh, text);
  renameSync(fresh, peers);
}
