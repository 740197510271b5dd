/** Time that passes in the miniature while nothing but a retry that is held back is to come. */
import type { Miniature } from './miniature.ts';
import { beatOf } from './miniature-messages.ts';

/** Until the first of them is due, with every agent heard; false where none waits. */
export function waitForRetry(mesh: Miniature): boolean {
  const held = [...mesh.core.runs.values()].flatMap((run) => [...run.held.values()]);
  if (held.length === 0) return false;
  for (const agent of mesh.agents) mesh.post({ kind: 'heartbeat', beat: beatOf(agent) });
  const dueMs = Math.min(...held.map((one) => one.dueMs));
  mesh.later(Math.max(0, dueMs - mesh.core.nowMs));
  return true;
}
