/** `up` on a mesh that runs already says which of its flags do nothing. */
import { expect, it } from 'vitest';
import { notApplied } from '#cli/commands/up.ts';
import type { MeshFile } from '#protocol/runtime/local-mesh.ts';

const part = { pid: 1, startTime: 't', logFile: '/log' };
const mesh: MeshFile = {
  version: 1,
  stays: true,
  bootId: 'b',
  server: { ...part, url: 'nats://127.0.0.1:4222', credentialFile: '/c' },
  coordinator: { ...part, id: 'local', resultsDir: '/my results' },
  agent: { ...part, id: 'local-1', stateDir: '/s', slots: null, rung: 'auto' },
};
const WANTED = {
  slots: 4,
  reservedCpus: '0-1',
  rung: 'scan',
  labels: ['rack=r7'],
  port: 4333,
  resultsDir: '/other',
  cordonAfter: 3,
} as const;

it('what runs on as it was', () => {
  expect(notApplied(WANTED, { mesh, started: [] })).toEqual([
    '--slots 4 is not applied: the agent runs already; benchmesh down ends it',
    '--reserved-cpus 0-1 is not applied: the agent runs already; benchmesh down ends it',
    '--rung scan is not applied: the agent runs already with auto; benchmesh down ends it',
    '--label rack=r7 is not applied: the agent runs already; benchmesh down ends it',
    '--port 4333 is not applied: the server runs already with 4222; benchmesh down ends it',
    '--results /other is not applied: the coordinator runs already with /my results; benchmesh down ends it',
    '--cordon-after 3 is not applied: the coordinator runs already; benchmesh down ends it',
  ]);
});

it('nothing of what was started now, or is so already', () => {
  expect(notApplied(WANTED, { mesh, started: ['server', 'coordinator', 'agent'] })).toEqual([]);
  const same = { rung: 'auto', port: 4222, resultsDir: '/my results' } as const;
  expect(notApplied(same, { mesh, started: [] })).toEqual([]);
});
