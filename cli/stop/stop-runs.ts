/** Stops several runs one after the other, saying each agent's word on stderr. */
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { openMesh } from '../mesh/find-mesh.ts';
import { terminal } from '../output/terminal.ts';
import { performStop, type StopRequest, type StopResult } from './perform-stop.ts';
import { ackLine, openLine, verdictLine } from './stop-text.ts';

const WAIT_MS = 60_000;

/** True when every one of them is dead and proven. */
export async function stopRuns(runs: readonly string[], reason: string): Promise<boolean> {
  const mesh = await openMesh({}, 'stop');
  try {
    let clean = true;
    for (const run of runs) {
      const request = { run, task: null, graceMs: null, now: false, reason };
      const { view } = await stopAloud(mesh.connection, request, { waitMs: WAIT_MS });
      clean &&= view.verdict === 'dead';
    }
    return clean;
  } finally {
    await mesh.close();
  }
}

/** Publishes a stop and tells on stderr what comes of it. */
export async function stopAloud(
  connection: MeshConnection,
  request: StopRequest,
  watch: { readonly waitMs: number; readonly signal?: AbortSignal },
): Promise<StopResult> {
  const told = new Set<string>();
  const result = await performStop(connection, request, {
    ...watch,
    onView: (view) => {
      for (const agent of view.agents.filter((one) => one.done && !told.has(one.agent))) {
        told.add(agent.agent);
        terminal.note(ackLine(agent));
      }
    },
  });
  const { agents, verdict } = result.view;
  for (const agent of verdict === 'open' ? agents.filter((one) => one.open) : []) {
    terminal.note(openLine(agent, result.silent.includes(agent.agent)));
  }
  const target = request.task === null ? request.run : `${request.run}/${request.task}`;
  terminal.note(verdictLine(result.view, target));
  return result;
}
