/** The server has lost BM_COMMANDS: numbers are given again, and what stands under them is done. */
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newRunId } from '#protocol/messages/ids.ts';
import { ensureMailbox } from '#protocol/nats/agents/mailbox.ts';
import { ensureStreams } from '#protocol/nats/streams/streams.ts';
import { AGENT, attemptSpec, startTestMesh, step, type TestMesh } from './support/agent-process.ts';

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startTestMesh();
});

afterAll(async () => {
  await mesh.close();
});

async function loseCommands(): Promise<void> {
  const manager = await jetstreamManager(mesh.connection.nats, { checkAPI: false });
  await manager.streams.delete('BM_COMMANDS');
  await ensureStreams(mesh.connection);
  await ensureMailbox(mesh.connection, AGENT);
}

test('commands with old numbers are done, by this process and the next; a lost stop is obeyed', async () => {
  const first = await mesh.start();
  const before = attemptSpec([step('true')]);
  await mesh.stop(before.run, null);
  await mesh.startAttempt(before, { afterStop: 1 });
  expect((await mesh.exited(before)).data.outcome).toBe('passed');

  await loseCommands();
  const run = attemptSpec([step('sleep 60')], { run: newRunId(new Date()) });
  expect((await mesh.startAttempt(run)).sequence).toBe(1);
  await mesh.began(run);
  await mesh.kill(first);
  await mesh.start();
  expect((await mesh.stop(run.run, null, { now: true })).sequence).toBe(2);
  expect((await mesh.exited(run)).data.outcome).toBe('stopped');

  await loseCommands();
  const overtaken = attemptSpec([step('true')], { run: run.run });
  expect((await mesh.startAttempt(overtaken)).sequence).toBe(1);
  expect((await mesh.exited(overtaken)).data.outcome).toBe('stopped');
  expect(mesh.of(overtaken, 'attempt.step_started')).toEqual([]);
});
