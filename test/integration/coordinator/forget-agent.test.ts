/** A real agent that vanishes is forgotten: its run ends, its id is free, and it ends what it ran if it is back. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { EventRecord } from '#protocol/fold/record.ts';
import { ForgetReply } from '#protocol/messages/agent/forget.ts';
import { toError } from '#protocol/messages/errors.ts';
import { mailboxName } from '#protocol/nats/agents/mailbox.ts';
import { listAgents } from '#protocol/nats/agents/registry.ts';
import { call } from '#protocol/nats/rpc.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { goldenSuite } from '#test/support/golden-messages.ts';
import { commandsWithEnvironment } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import { sharedSuite, type CoordinatorBench } from './bench.ts';
import { VanishingAgents } from './vanishing-agents.ts';

let agents: VanishingAgents;
let bench: CoordinatorBench;

beforeEach(async () => {
  agents = await VanishingAgents.open();
  ({ bench } = agents);
});
afterEach(async () => {
  await agents.close();
});

const said = (name: string): Promise<EventRecord[]> => agents.said(name);
const ids = async (): Promise<string[]> =>
  (await listAgents(bench.connection)).map(({ agent }) => agent);

async function forget(agent: string): Promise<ForgetReply | string> {
  const request = { agent, by: 'u@h', reason: 'sold', force: false };
  try {
    return ForgetReply.parse(await call(bench.connection, 'forget', request, 5_000));
  } catch (error) {
    return toError(error).message;
  }
}

/** Refused while it counts as there. */
const forgotten = (agent: string): Promise<ForgetReply> =>
  until(async () => {
    const answer = await forget(agent);
    return typeof answer === 'string' ? null : answer;
  }, 'the agent to be forgotten');

it('its stop closes as unproven, its task goes on elsewhere, and what it still runs ends with it', async () => {
  await bench.coordinator();
  const lost = agents.start('lost');
  await until(async () => (await said('agent.started')).length === 1, 'the first agent');
  const go = agents.gate('go');
  const wait = `read word < ${go}`;
  const steps = goldenSuite.steps.map((step) => ({ ...step, argv: ['sh', '-c', wait] }));
  // It would be waited for, for ever.
  const suite = { steps, onLost: { requeueAfterMs: null }, graceMs: 300 };
  const one = await bench.submit(sharedSuite(1, suite));
  await until(async () => (await said('attempt.step_started')).length === 1, 'the attempt');
  const two = await bench.submit(sharedSuite(1, suite));
  expect(await forget('nobody')).toMatch(/no agent nobody has joined/);

  lost.child.kill('SIGKILL');
  await lost.exited;
  const living = (): number => commandsWithEnvironment('BENCHMESH_RUN', one.run, wait).length;
  expect(living()).toBe(1); // it outlives its agent
  agents.start('other');
  await bench.stop(two.run);
  const reply = await forgotten('lost');
  expect(reply).toEqual({ agent: 'lost', lost: 2 });
  await until(async () => (await said('attempt.step_started')).length === 2, 'the next attempt');
  await until(async () => !(await ids()).includes('lost'), 'its id to be free');
  expect(await bench.commands(['bm.v1.cmd.lost.start.>'])).toEqual([]);
  expect(await forget('lost')).toMatch(/no agent lost has joined/);

  await until(() => living() === 2, 'both attempts');
  agents.start('lost');
  await until(async () => {
    const exits = (await said('attempt.exited')).map(({ message }) => message.data);
    return exits.some((data) => 'proven' in data && data.outcome === 'lost' && data.proven);
  }, 'the proven end of what it ran');
  expect(await ids()).toContain('lost');
  expect(living()).toBe(1);
  await writeFile(go, 'go\n');
  const viewOf = (run: string): Promise<unknown> =>
    until(async () => {
      const text = await readFile(join(bench.resultsDir, run, 'run.json'), 'utf8').catch(
        () => null,
      );
      return text === null ? null : (JSON.parse(text) as unknown);
    }, `the directory of ${run}`);
  expect(await viewOf(one.run)).toMatchObject({ run: { outcome: 'passed' } });
  expect(await viewOf(two.run)).toMatchObject({
    run: { outcome: 'stopped', stops: [{ result: 'unproven' }] },
  });
});

it('one that only stood still enrols anew, ends what it runs, and is given work again', async () => {
  await bench.coordinator();
  const still = agents.start('still');
  await until(async () => (await said('agent.started')).length === 1, 'the first agent');
  const go = agents.gate('go');
  const wait = `read word < ${go}`;
  const steps = goldenSuite.steps.map((step) => ({ ...step, argv: ['sh', '-c', wait] }));
  const suite = { steps, onLost: { requeueAfterMs: null }, graceMs: 300 };
  const { run } = await bench.submit(sharedSuite(1, suite));
  await until(async () => (await said('attempt.step_started')).length === 1, 'the attempt');
  const living = (): number => commandsWithEnvironment('BENCHMESH_RUN', run, wait).length;

  still.child.kill('SIGSTOP');
  // A mailbox that is asked for something is not taken away; what it last asked for runs out.
  const { consumers } = await jetstreamManager(bench.connection.nats);
  const asked = async (): Promise<number> =>
    (await consumers.info(STREAMS.commands, mailboxName('still'))).num_waiting;
  await until(async () => (await asked()) === 0, 'it to be silent');
  expect(await forgotten('still')).toEqual({ agent: 'still', lost: 1 });
  await until(async () => !(await ids()).includes('still'), 'its id to be free');
  expect(living()).toBe(1);

  still.child.kill('SIGCONT');
  await until(async () => (await ids()).includes('still'), 'its id to be its own again');
  const exit = await until(async () => (await said('attempt.exited'))[0], 'the end of what it ran');
  expect(exit.subject).toMatch(/\.1$/);
  expect(exit.message.data).toMatchObject({ outcome: 'lost', proven: true });
  const again = await until(
    async () => (await said('attempt.step_started'))[1],
    'the next attempt',
  );
  expect(again.message.source).toBe('/agents/still');
  expect(living()).toBe(1);
  const [{ message }] = (await said('agent.started')).slice(-1) as [EventRecord];
  expect(message).toMatchObject({ incarnation: 1, data: { adopted: 1 } });
  expect(still.child.exitCode).toBeNull();
  await writeFile(go, 'go\n');
  await until(async () => (await said('run.ended')).length === 1, 'the end of the run');
});
