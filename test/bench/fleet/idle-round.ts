/** What a fleet costs that has nothing to do: heartbeats, pulls of empty mailboxes. */
import type { FleetMesh } from './fleet-mesh.ts';
import { CpuMeter } from './process-cpu.ts';

const WATCH_MS = 8_000;

/** Shares of a core, by part. */
export async function idleRound(mesh: FleetMesh): Promise<Readonly<Record<string, number>>> {
  const meter = new CpuMeter(mesh.pids());
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  return meter.shares();
}
