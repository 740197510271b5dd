/** What a leader finds that another one has left half done. */
import { expect, it } from 'vitest';
import { Miniature } from './miniature.ts';

const RUN = '2026-01-02_03-04-05-aaaa';
const needs = { slots: 1, cpus: 0, exclusive: false };

it('a run whose purge was cut short decides nothing any more (I3)', () => {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(RUN, { axes: { item: [1, 2] }, needs, retries: {} });
  while (mesh.storeOne(0));
  while (mesh.readEvent());
  while (mesh.storeOne(0));
  while (mesh.agentReads(0, false));
  mesh.agentExits(0, 'failed', false);
  mesh.settle();
  mesh.post({ kind: 'archived', run: RUN, directory: '/r' });
  mesh.settle();
  const last = mesh.events.at(-1)?.message.name;
  expect(last).toBe('run.archived');
  // What is said of tasks goes before what agents say, and the run's own subject last (release.ts).
  const left = mesh.events.filter(({ subject }) => !subject.startsWith('bm.v1.evt.task.'));
  expect(left.length).toBeLessThan(mesh.events.length);
  mesh.events.splice(0, mesh.events.length, ...left);
  mesh.lead();
  expect(mesh.outgoing).toEqual([]);
});

it('a pause that is stored once more after its close holds nothing back', () => {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(RUN, { axes: { item: [1, 2] }, needs });
  while (mesh.storeOne(0));
  mesh.pause(RUN, null);
  const pause = mesh.commands.at(-1) ?? null;
  while (mesh.readEvent());
  mesh.settle();
  mesh.resume(RUN, null);
  while (mesh.storeOne(0));
  while (mesh.readEvent());
  mesh.lead();
  expect(mesh.commands.includes(pause)).toBe(false);
  if (pause !== null) mesh.commands.push({ ...pause, sequence: mesh.commands.length + 1 });
  mesh.settle();
  expect(mesh.archived).toEqual([RUN]);
  expect(mesh.commands.filter((one) => one?.message.name === 'command.stop')).toEqual([]);
});

it.each(['before', 'after'])(
  'a stop that was stored twice leaves nothing, read %s the leader acts (I12)',
  (when) => {
    const mesh = new Miniature([{ slots: 1 }]);
    mesh.submit(RUN, { axes: { item: [1, 2] }, needs });
    while (mesh.storeOne(0));
    mesh.stop(RUN, null);
    const stop = mesh.commands.at(-1) ?? null;
    if (stop !== null) mesh.commands.push({ ...stop, sequence: mesh.commands.length + 1 });
    if (when === 'before') mesh.lead();
    mesh.settle();
    mesh.later(11_000);
    mesh.settle();
    const stops = mesh.commands.filter((record) => record?.message.name === 'command.stop');
    expect(stops).toEqual([]);
  },
);
