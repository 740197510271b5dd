/** Behind whom a run is queued: those who have hosts or take their turn at them, and nobody else. */
import { expect, it } from 'vitest';
import { Miniature } from './miniature.ts';

const [FIRST, SECOND, THIRD] = [
  '2026-02-13_14-30-45-aaaa',
  '2026-02-13_14-30-46-bbbb',
  '2026-02-13_14-30-47-cccc',
] as const;
const SUITE = { axes: { item: [1, 2] } };

/** What is stored is read; the agents do nothing yet. */
function flow(mesh: Miniature): void {
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
}

function behindOf(mesh: Miniature, run: string): unknown {
  const said = mesh.events.find(
    ({ subject, message }) => subject.endsWith(run) && message.name === 'run.submitted',
  );
  return (said?.message.data as { behind?: unknown } | undefined)?.behind;
}

it('not behind one that is paused and has nothing on any host', () => {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(FIRST, SUITE);
  flow(mesh);
  mesh.pause(FIRST, null);
  flow(mesh);
  // Its agent has not obeyed yet: its attempt has the host.
  mesh.submit(SECOND, SUITE);
  flow(mesh);
  expect(behindOf(mesh, SECOND)).toEqual([FIRST]);
  mesh.settle();
  mesh.submit(THIRD, SUITE);
  flow(mesh);
  expect(behindOf(mesh, THIRD)).toEqual([]);
});

it('of a run of which one task is paused, behind the others', () => {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(FIRST, SUITE);
  flow(mesh);
  mesh.pause(FIRST, mesh.core.runs.get(FIRST)?.listed[1]?.id ?? 'none');
  flow(mesh);
  mesh.submit(SECOND, SUITE);
  flow(mesh);
  expect(behindOf(mesh, SECOND)).toEqual([FIRST]);
});

it('nor is one refused for it that asks to be where hosts are taken', () => {
  const mesh = new Miniature([]);
  mesh.submit(FIRST, SUITE);
  flow(mesh);
  mesh.submit(SECOND, { ...SUITE, name: 'other' }, { ifBusy: 'reject' });
  expect([...mesh.replies.values()].at(-1)).toMatchObject({
    code: 'busy',
    message: expect.stringContaining('holds the hosts') as string,
  });
  mesh.pause(FIRST, null);
  flow(mesh);
  mesh.submit(THIRD, { ...SUITE, name: 'other' }, { ifBusy: 'reject' });
  flow(mesh);
  expect([...mesh.replies.values()].at(-1)).toMatchObject({ kind: 'ok' });
});

it('one that asks so is refused while its suite has a live run, even a paused one', () => {
  const mesh = new Miniature([]);
  mesh.submit(FIRST, SUITE);
  mesh.pause(FIRST, null);
  flow(mesh);
  mesh.submit(SECOND, SUITE, { ifBusy: 'reject' });
  flow(mesh);
  expect([...mesh.replies.values()].at(-1)).toMatchObject({
    code: 'busy',
    message: expect.stringContaining(`${FIRST} of the suite`) as string,
  });
  mesh.submit(THIRD, SUITE);
  flow(mesh);
  expect([...mesh.replies.values()].at(-1)).toMatchObject({ kind: 'ok' });
});
