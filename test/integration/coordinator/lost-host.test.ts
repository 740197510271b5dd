/** A real agent that is not heard for a while: its task goes on elsewhere, and it ends what it still runs. */
import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { applyToRun, createRunFold } from '#protocol/fold/run-fold.ts';
import { attemptViews } from '#protocol/fold/attempt-view.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import { goldenSuite } from '#test/support/golden-messages.ts';
import { commandsWithEnvironment, processesWithEnvironment } from '#test/support/processes.ts';
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

it('its processes are proven dead when it is back, and the task is where it would be', async () => {
  await bench.coordinator();
  const lost = agents.start('lost');
  await until(async () => (await said('agent.started')).length === 1, 'the first agent');
  const go = agents.gate('go');
  // It ignores TERM, and its child has left its session.
  const wait = `trap '' TERM; setsid sleep 300 & read word < ${go}; kill $!`;
  const steps = goldenSuite.steps.map((step) => ({ ...step, argv: ['sh', '-c', wait] }));
  const onLost = { requeueAfterMs: 1_000 };
  const { run } = await bench.submit(sharedSuite(1, { steps, onLost, graceMs: 300 }));
  // Of each attempt its shell and the child of that.
  const living = (): number => commandsWithEnvironment('BENCHMESH_RUN', run, 'sleep 300').length;
  await until(async () => (await said('attempt.step_started')).length === 1, 'the first attempt');
  agents.start('other');
  await until(async () => (await said('agent.started')).length === 2, 'the other agent');
  await until(() => living() === 2, 'its processes');

  lost.child.kill('SIGSTOP');
  await until(async () => (await said('attempt.step_started')).length === 2, 'the next attempt');
  const unheard = await said('agent.unreachable');
  expect(unheard.map(({ subject }) => subject)).toContain('bm.v1.evt.fleet.lost');
  await until(() => living() === 4, 'both attempts');
  const [revoke] = await bench.commands(['bm.v1.cmd.*.revoke.>']);
  const [retrying] = await said('task.retrying');
  expect(revoke?.subject).toBe(`bm.v1.cmd.lost.revoke.${run}`);
  expect(retrying?.message.data).toMatchObject({
    n: 1,
    class: 'lost',
    avoid: 'lost',
    superseded: true,
  });
  expect(retrying?.timeMs).toBeGreaterThanOrEqual(revoke?.timeMs ?? Infinity);

  lost.child.kill('SIGCONT');
  const [answer] = await until(async () => {
    const answers = await said('command.revoke_answered');
    return answers.length > 0 ? answers : null;
  }, 'the answer of the first agent');
  expect(answer?.message.data).toMatchObject({
    n: 1,
    answer: 'started',
    stopped: { n: 1, proven: true, survivors: [], signal: 'SIGKILL' },
  });
  await until(async () => (await bench.commands(['bm.v1.cmd.*.revoke.>'])).length === 0, 'its end');
  expect(living()).toBe(2); // the second attempt's
  const fold = createRunFold(run);
  await writeFile(go, 'go\n');
  await until(async () => {
    for (const record of await bench.events()) applyToRun(fold, record);
    return fold.state === 'ended';
  }, 'the end of the run');
  expect(processesWithEnvironment('BENCHMESH_RUN', run)).toEqual([]);
  const [task] = fold.tasks.values();
  if (task === undefined) throw new Error('no task');
  expect(taskView(fold, task)).toMatchObject({
    outcome: 'passed',
    n: 2,
    attempts: 2,
    agent: 'other',
  });
  expect(attemptViews(task)).toMatchObject([
    { n: 1, agent: 'lost', outcome: 'lost', class: 'lost', superseded: true, partial: true },
    { n: 2, agent: 'other', outcome: 'passed', superseded: false, partial: false },
  ]);
});
