/** A stop does not wait for what a large run has said to be read. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { performStop } from '#cli/stop/perform-stop.ts';
import { readLiveRun } from '#cli/runs/live-run.ts';
import { encode } from '#protocol/messages/envelope.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { tail } from '#protocol/nats/streams/tail.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { startTestServer, type TestServer } from '#test/support/nats-server.ts';
import { RUN } from '#test/support/records.ts';

const EVENTS = 12_000;
const AT_A_TIME = 256;

let server: TestServer;
let connection: MeshConnection;

beforeAll(async () => {
  server = await startTestServer();
  connection = await server.connect();
  await say(subjects.run(RUN), 'run.submitted', goldenMessages['run.submitted']);
  let left = EVENTS;
  const sayMore = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const subject = subjects.attemptEvents('a1', { run: RUN, task: `t${left % 100}`, n: 1 });
      await say(subject, 'attempt.progress', { elapsedMs: left, progress: 0.5 });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, sayMore));
});
afterAll(async () => {
  await server.close();
});

it('is stored before a reader has come to the end of the run', async () => {
  const command = new Promise<void>((resolve) => {
    const reader = tail(connection, {
      stream: STREAMS.commands,
      filters: [subjects.stop()],
      onMessage: () => {
        resolve();
        void reader.close();
      },
    });
  });
  const request = { run: RUN, task: null, graceMs: null, now: false, reason: null };
  // Both read the same from the same moment on; the one reads on while the other stores its stop.
  const events: string[] = [];
  const read = readLiveRun(connection, RUN).then(() => events.push('read'));
  const stopped = performStop(connection, request, { waitMs: 1 });
  await command.then(() => events.push('stored'));
  await Promise.all([read, stopped]);
  expect(events).toEqual(['stored', 'read']);
});

async function say<N extends MessageName>(
  subject: string,
  name: N,
  data: MessageData<N>,
): Promise<void> {
  const id = crypto.randomUUID();
  const payload = encode({ name, data, id, timeMs: 1, writer: { source: '/agents/a1' } });
  const { kind } = await publishEvent(connection, subject, payload);
  if (kind !== 'stored') throw new Error(`an event was not stored: ${kind}`);
}
