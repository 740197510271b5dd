/** Real agents of a task on three hosts, one of which is lost: another takes its rank, and the others go on. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { attemptViews, type AttemptView } from '#protocol/fold/attempt-view.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import { errnoOf } from '#protocol/messages/errors.ts';
import { goldenSuite } from '#test/support/golden-messages.ts';
import { commandsWithEnvironment, processesWithEnvironment } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import { sharedSuite, type CoordinatorBench } from './bench.ts';
import type { AgentProcess } from '../agent/support/agent-process.ts';
import { VanishingAgents } from './vanishing-agents.ts';

let agents: VanishingAgents;
let bench: CoordinatorBench;

beforeEach(async () => {
  agents = await VanishingAgents.open();
  ({ bench } = agents);
  await bench.coordinator();
});
afterEach(async () => {
  await agents.close();
});

const said = (name: string): Promise<EventRecord[]> => agents.said(name);
const file = (name: string): string => join(agents.dir, name);
const textOf = (name: string): Promise<string> => readFile(file(name), 'utf8').catch(() => '');
const count = async (name: string): Promise<number> => (await said(name)).length;

/** Each rank says that it began, goes on until it is let, and then what it knows of the others. */
const RANK = `
  echo "$RANK $BENCHMESH_PEERS_EPOCH" >> DIR/begun
  setsid sleep 300 &
  until [ -e DIR/go ]; do sleep 0.1; done
  kill $!
  cp "$BENCHMESH_PEERS_FILE" "DIR/peers-$RANK"
  echo "rank $RANK is done"
`;

async function gangOnThree(): Promise<{ run: string; lost: AgentProcess; living: () => number }> {
  const lost = agents.startElsewhere('lost');
  for (const id of ['b', 'c']) agents.startElsewhere(id);
  await until(async () => (await count('agent.started')) === 3, '3 agents');
  const argv = ['sh', '-c', RANK.replaceAll('DIR', agents.dir)];
  const steps = goldenSuite.steps.map((step) => ({ ...step, argv }));
  const needs = { slots: 1, cpus: 0, exclusive: false, hosts: 3 };
  const gang = { onRankLost: { replaceWithinMs: 120_000 } };
  const onLost = { requeueAfterMs: 1_000 };
  const { run } = await bench.submit(sharedSuite(1, { steps, needs, gang, onLost, graceMs: 300 }));
  // Of each its shell and the child that has left the session.
  const living = (): number =>
    commandsWithEnvironment('BENCHMESH_RUN', run, 'sleep 300').length / 2;
  await until(() => living() === 3, 'each rank with its child');
  return { run, lost, living };
}

async function ended(run: string): Promise<RunFold> {
  const fold = createRunFold(run);
  await until(async () => {
    for (const record of await bench.events()) applyToRun(fold, record);
    return fold.state === 'ended';
  }, 'the end of the run');
  return fold;
}

/** It passed in its first attempt, with a rank on `d` that no other rank was started again for. */
async function expectReplaced(fold: RunFold): Promise<AttemptView> {
  expect(await count('task.retrying')).toBe(0);
  const [task] = fold.tasks.values();
  if (task === undefined) throw new Error('no task');
  expect(taskView(fold, task)).toMatchObject({
    ...{ outcome: 'passed', n: 1, attempts: 1 },
    agents: ['b', 'c', 'd'],
  });
  expect((await textOf('begun')).trim().split('\n').sort()).toEqual(['0 0', '1 0', '2 0', '2 1']);
  for (const rank of [0, 1, 2]) {
    const known = JSON.parse(await textOf(`peers-${rank}`)) as { peers: { host: string }[] };
    expect(known).toMatchObject({ epoch: 1, rank });
    expect(known.peers).toHaveLength(3);
  }
  const [attempt] = attemptViews(task);
  if (attempt === undefined) throw new Error('no attempt');
  return attempt;
}

/** All that ran on its host. */
function killRank(run: string, rank: number): void {
  const own = new Set(processesWithEnvironment('BENCHMESH_RUN', run));
  for (const pid of processesWithEnvironment('BENCHMESH_RANK', String(rank))) {
    try {
      if (own.has(pid)) process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error;
    }
  }
}

describe('a rank whose host is lost', () => {
  it('begins anew elsewhere, the others are not started again, and the first host ends its own', async () => {
    const { run, lost, living } = await gangOnThree();
    agents.startElsewhere('d');
    await until(async () => (await count('agent.started')) === 4, '4 agents');
    lost.child.kill('SIGSTOP');
    await until(() => living() === 4, 'the rank on the fourth host');
    expect((await said('task.rank_replaced')).map(({ message }) => message.data)).toMatchObject([
      { n: 1, rank: 2, epoch: 1, lost: 'lost', peer: { agent: 'd' } },
    ]);
    expect(await count('attempt.exited')).toBe(0);

    lost.child.kill('SIGCONT');
    const [answer] = await until(async () => {
      const answers = await said('command.revoke_answered');
      return answers.length > 0 ? answers : null;
    }, 'the answer of the first agent');
    expect(answer?.subject).toContain('.ack.lost.');
    expect(answer?.message.data).toMatchObject({
      n: 1,
      stopped: { n: 1, proven: true, survivors: [] },
    });
    expect(living()).toBe(3);
    await writeFile(file('go'), '');
    const attempt = await expectReplaced(await ended(run));
    expect(processesWithEnvironment('BENCHMESH_RUN', run)).toEqual([]);
    expect(attempt.replaced).toMatchObject([
      {
        rank: 2,
        agent: 'lost',
        by: 'd',
        attempt: { outcome: 'lost', class: 'lost', proven: true },
      },
    ]);
    const directory = join(bench.resultsDir, run);
    const [task] = (await ended(run)).tasks.keys();
    const logOf = (name: string): Promise<string> =>
      readFile(join(directory, 'logs', task ?? '', `${name}.log`), 'utf8').catch(() => '');
    await until(async () => (await logOf('1-2e1')) === 'rank 2 is done\n', 'its directory');
    expect(await logOf('1-0')).toBe('rank 0 is done\n');
    expect(await logOf('1-2')).toBe('');
  });

  it('waits for a host where its own died with all that ran there, and is over when that is back', async () => {
    const { run, lost, living } = await gangOnThree();
    lost.child.kill('SIGKILL');
    killRank(run, 2);
    await until(() => living() === 2, 'the end of its processes');
    await until(async () => (await count('task.rank_lost')) === 1, 'the rank to be given up');
    expect(await count('task.rank_replaced')).toBe(0);
    agents.startElsewhere('d');
    await until(() => living() === 3, 'the rank on the fourth host');
    agents.startElsewhere('lost');
    await until(async () => (await count('command.revoke_answered')) === 1, 'the first host');
    expect(living()).toBe(3);
    await writeFile(file('go'), '');
    const attempt = await expectReplaced(await ended(run));
    const before = { superseded: true, state: 'exited' };
    expect(attempt.replaced).toMatchObject([{ rank: 2, by: 'd', attempt: before }]);
  });
});
