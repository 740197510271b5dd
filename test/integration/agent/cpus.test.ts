/** A real agent binds attempts to CPUs of their own, and knows them again after a restart. */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { attemptSpec, startTestMesh, step, type TestMesh } from './support/agent-process.ts';

let mesh: TestMesh;
beforeEach(async () => {
  mesh = await startTestMesh();
});
afterEach(async () => {
  await mesh.close();
});

const SAY = 'echo "${BENCHMESH_CPUS-none}"; grep Cpus_allowed_list /proc/self/status | cut -f2';

function wants(script: string, pin = true): AttemptSpec {
  return attemptSpec([step(script)], { needs: { slots: 1, cpus: 1, exclusive: false, pin } });
}

const said = async (spec: AttemptSpec): Promise<string[]> => {
  expect((await mesh.exited(spec)).data.outcome).toBe('passed');
  return (await mesh.log(spec)).stdout.toString().trim().split('\n');
};

it.skipIf(availableParallelism() < 2)(
  'each to its own, over a restart; not where the suite says no',
  { timeout: 60_000 },
  async () => {
    const go = join(mesh.dir, 'go');
    const first = await mesh.start(['--slots', '4']);
    const held = wants(`${SAY}; until [ -e ${go} ]; do sleep 0.05; done`);
    await mesh.startAttempt(held);
    const { resources } = (await mesh.began(held)).data;
    expect(resources?.cpus).toHaveLength(1);
    await mesh.kill(first);
    await mesh.start(['--slots', '4']);
    const other = wants(SAY);
    await mesh.startAttempt(other);
    const [told, bound] = await said(other);
    expect(bound).toBe(told);
    expect(told).not.toBe(String(resources?.cpus[0]));
    const free = wants(SAY, false);
    await mesh.startAttempt(free);
    const [none, anywhere] = await said(free);
    expect(none).toBe('none');
    expect(anywhere).not.toBe(told);
    writeFileSync(go, '');
    expect((await said(held)).slice(0, 2)).toEqual(Array(2).fill(String(resources?.cpus[0])));
  },
);
