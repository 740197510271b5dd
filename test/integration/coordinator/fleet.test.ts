/** The simulated fleet of `npm run bench -- fleet`, small: what the bench measures must go on being true. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FleetMesh } from '#test/bench/fleet/fleet-mesh.ts';
import { matrixRound } from '#test/bench/fleet/matrix-round.ts';
import { parseFleetOptions } from '#test/bench/fleet/options.ts';
import { stopRounds } from '#test/bench/fleet/stop-round.ts';

const OPTIONS = parseFleetOptions(
  '--agents 20 --slots 4 --tasks 400 --seconds 0.1-0.3 --stops 1 --stop-tasks 4'.split(' '),
);

describe('a simulated fleet on the real server and coordinator', () => {
  let mesh: FleetMesh;

  beforeAll(async () => {
    mesh = await FleetMesh.start(OPTIONS);
  });
  afterAll(async () => {
    await mesh.close();
  });

  it('ends every task exactly once, and keeps its slots busy', async () => {
    const figures = await matrixRound(mesh, OPTIONS);
    expect(figures.tasks).toBe(400);
    expect(figures.utilisation).toBeGreaterThan(0);
    expect(figures.utilisation).toBeLessThanOrEqual(1);
    const { p50, p99, most } = figures.gapsMs;
    expect([p50, p99, most]).toEqual([p50, p99, most].toSorted((a, b) => a - b));
    expect(figures.endedMs).toBeGreaterThanOrEqual(figures.queueMs);
    expect(figures.archivedMs).toBeGreaterThanOrEqual(figures.endedMs);
    for (const share of Object.values(figures.cpu)) expect(share).toBeGreaterThanOrEqual(0);
    expect(Object.keys(figures.cpu)).toEqual(['nats-server', 'coordinator', 'agents', 'others']);
  });

  it('stops all of it, every agent answering, and times a bare broadcast to the same mailboxes', async () => {
    const { receivedMs, doneMs, bareMs } = await stopRounds(mesh, OPTIONS);
    expect([receivedMs.length, doneMs.length, bareMs.length]).toEqual([1, 1, 1]);
    expect(doneMs[0]).toBeGreaterThanOrEqual(receivedMs[0] ?? NaN);
    expect(bareMs[0]).toBeGreaterThan(0);
  });
});
