/** Real agents of a task on three hosts, one of which is not heard: the task goes on elsewhere, on three again. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { attemptViews } from '#protocol/fold/attempt-view.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import { ForgetReply } from '#protocol/messages/agent/forget.ts';
import { toError } from '#protocol/messages/errors.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { call } from '#protocol/nats/rpc.ts';
import { goldenSuite } from '#test/support/golden-messages.ts';
import { commandsWithEnvironment, processesWithEnvironment } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import { sharedSuite, type CoordinatorBench } from './bench.ts';
import { VanishingAgents } from './vanishing-agents.ts';

let agents: VanishingAgents;
let bench: CoordinatorBench;
let go: string;

beforeEach(async () => {
  agents = await VanishingAgents.open();
  ({ bench } = agents);
  go = join(agents.dir, 'go');
  await bench.coordinator();
});
afterEach(async () => {
  await agents.close();
});

const said = (name: string): Promise<EventRecord[]> => agents.said(name);

/** Every rank ignores TERM, has a child that has left its session, and goes on until it is let. */
function gangSuite(hosts: number, more: Partial<SuiteSpec>): SuiteSpec {
  const wait = `trap '' TERM; setsid sleep 300 & until [ -e ${go} ]; do sleep 0.1; done; kill $!`;
  const steps = goldenSuite.steps.map((step) => ({ ...step, argv: ['sh', '-c', wait] }));
  const needs = { slots: 1, cpus: 0, exclusive: false, hosts };
  return sharedSuite(1, { steps, needs, graceMs: 300, ...more });
}

async function joined(count: number): Promise<void> {
  const isHere = async (): Promise<boolean> => (await said('agent.started')).length === count;
  await until(isHere, `${count} agents`);
}

/** Its ranks have begun the step. */
async function begun(count: number): Promise<void> {
  const isBegun = async (): Promise<boolean> =>
    (await said('attempt.step_started')).length === count;
  await until(isBegun, `${count} ranks`);
}

async function ended(run: string): Promise<RunFold> {
  const fold = createRunFold(run);
  await until(async () => {
    for (const record of await bench.events()) applyToRun(fold, record);
    return fold.state === 'ended';
  }, 'the end of the run');
  return fold;
}

it('the other ranks end with proof, the next attempt passes elsewhere, and the first host ends its own', async () => {
  const lost = agents.startElsewhere('lost');
  for (const id of ['b', 'c']) agents.startElsewhere(id);
  await joined(3);
  const { run } = await bench.submit(gangSuite(3, { onLost: { requeueAfterMs: 1_000 } }));
  const living = (): number => commandsWithEnvironment('BENCHMESH_RUN', run, 'sleep 300').length;
  await begun(3);
  await until(() => living() === 6, 'each rank with its child');
  agents.startElsewhere('d');
  await joined(4);

  lost.child.kill('SIGSTOP');
  await begun(6);
  const [retrying] = await said('task.retrying');
  expect(retrying?.message.data).toMatchObject({
    ...{ n: 1, class: 'lost', avoid: 'lost', superseded: true, without: ['lost'] },
  });
  const ends = (await said('attempt.exited')).map(({ message }) => message.data);
  expect(ends).toMatchObject([
    { outcome: 'stopped', class: 'gang', proven: true, survivors: [] },
    { outcome: 'stopped', class: 'gang', proven: true, survivors: [] },
  ]);
  for (const { sequence } of await said('attempt.exited'))
    expect(sequence).toBeLessThan(retrying?.sequence ?? 0);
  await until(() => living() === 8, 'the rank that nobody hears, and three others');

  lost.child.kill('SIGCONT');
  const [answer] = await until(async () => {
    const answers = await said('command.revoke_answered');
    return answers.length > 0 ? answers : null;
  }, 'the answer of the first agent');
  expect(answer?.subject).toContain('.ack.lost.');
  expect(answer?.message.data).toMatchObject({
    n: 1,
    answer: 'started',
    stopped: { n: 1, proven: true, survivors: [], signal: 'SIGKILL' },
  });
  expect(living()).toBe(6); // the second attempt's
  await writeFile(go, '');
  const fold = await ended(run);
  expect(processesWithEnvironment('BENCHMESH_RUN', run)).toEqual([]);
  const [task] = fold.tasks.values();
  if (task === undefined) throw new Error('no task');
  const view = taskView(fold, task);
  expect(view).toMatchObject({ outcome: 'passed', n: 2, attempts: 2 });
  expect(view.agents?.toSorted()).toEqual(['b', 'c', 'd']);
  const [first, second] = attemptViews(task);
  expect(first).toMatchObject({ outcome: 'lost', superseded: true, partial: true, proven: true });
  const left = first?.ranks?.filter(({ superseded }) => superseded) ?? [];
  expect(left).toMatchObject([{ agent: 'lost', outcome: 'lost', class: 'lost' }]);
  expect(second).toMatchObject({ outcome: 'passed', superseded: false });
});

it('a stop of it ends when the host is forgotten, unverified, and the host that is back ends its rank', async () => {
  const lost = agents.startElsewhere('lost');
  agents.startElsewhere('b');
  await joined(2);
  const { run } = await bench.submit(gangSuite(2, { onLost: { requeueAfterMs: null } }));
  const living = (): number => commandsWithEnvironment('BENCHMESH_RUN', run, 'sleep 300').length;
  await begun(2);
  await until(() => living() === 4, 'each rank with its child');
  lost.child.kill('SIGKILL');
  await lost.exited;
  await bench.stop(run);
  await until(async () => (await said('attempt.exited')).length === 1, 'the end of the other rank');
  const request = { agent: 'lost', by: 'u@h', reason: 'sold', force: false };
  const reply = await until(async () => {
    try {
      return ForgetReply.parse(await call(bench.connection, 'forget', request, 5_000));
    } catch (error) {
      expect(toError(error).message).toMatch(/is there/); // it counts as there for a while
      return null;
    }
  }, 'the agent to be forgotten');
  expect(reply).toEqual({ agent: 'lost', lost: 1 });
  expect(runView(await ended(run))).toMatchObject({
    outcome: 'stopped',
    stops: [{ result: 'unproven' }],
  });
  expect(living()).toBe(2);
  agents.startElsewhere('lost');
  await until(() => processesWithEnvironment('BENCHMESH_RUN', run).length === 0, 'its processes');
});
