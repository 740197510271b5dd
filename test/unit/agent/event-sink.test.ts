/** I12: events that the journal does not take wait in their order, and why is said until there is room again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EventSink } from '#agent/state/event-sink.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { openOutbox, type Outbox } from '#protocol/nats/outbox/outbox.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { ManualClock } from '#test/support/manual-clock.ts';
import { fakeStore, type FakeStore } from '#test/support/nats-fake-store.ts';
import { until } from '#test/support/until.ts';

const SUBJECT = subjects.hostEvents('a1');
const WORDS = 'x'.repeat(10_000);

let dir: string;
let store: FakeStore;
let outbox: Outbox;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'benchmesh-event-sink-'));
  store = fakeStore();
  outbox = await openOutbox({
    ...{ dir, store, instance: 'me', log: silentLog, onFenced: () => undefined },
    ...{ maxBytes: 4 * 1024 * 1024, segmentBytes: 256 * 1024 },
  });
});
afterEach(async () => {
  await outbox.close();
  await rm(dir, { recursive: true, force: true });
});

it('at the limit of the journal they wait, and go on in order when the server stores again', async () => {
  const clock = new ManualClock();
  const sink = new EventSink({
    ...{ outbox, clock, log: silentLog, onRecorded: () => undefined },
    writer: { source: '/agents/a1', instance: 'me', incarnation: 1 },
  });
  const told: string[] = [];
  const tell = (): void => {
    const id = `e${told.length}`;
    told.push(id);
    sink.tell(SUBJECT, 'agent.exec_started', { id, by: 'me', argv: [WORDS] });
  };
  expect(sink.whyHeld()).toBeNull();
  store.fault = () => 'full';
  for (let i = 0; i < 600; i += 1) tell();
  await until(() => sink.whyHeld(), 'events to wait');
  expect(sink.whyHeld()).toMatch(/journal of events is at its limit \(journalLimit\)/);
  clock.advance(1_000);
  tell();
  await until(() => clock.waiting > 0, 'it to be refused again');
  expect(sink.whyHeld()).not.toBeNull();

  store.fault = () => null;
  await until(() => {
    clock.advance(1_000);
    return store.messages.length === told.length;
  }, 'all to be stored');
  await until(() => sink.whyHeld() === null, 'nothing to wait');
  const ids = store.messages.map(
    ({ data }) => (JSON.parse(new TextDecoder().decode(data)) as { data: { id: string } }).data.id,
  );
  expect(ids).toEqual(told);
});
