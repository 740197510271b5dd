import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { filters, subjects } from '#protocol/messages/subjects.ts';
import { taskEnds } from '#test/support/task-ends.ts';
import { until } from '#test/support/until.ts';
import { openBench, sharedSuite, type CoordinatorBench } from './bench.ts';
import { FakeAgent } from './fake-agent.ts';

describe('stop', () => {
  let bench: CoordinatorBench;
  let agent: FakeAgent;

  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(async () => {
    await agent.close();
    await bench.close();
  });

  const closed = (run: string): Promise<string> =>
    until(async () => {
      const events = await bench.events([subjects.run(run)]);
      const close = events.find(({ message }) => message.name === 'run.stop_closed');
      return close?.message.name === 'run.stop_closed' ? close.message.data.result : null;
    }, 'the stop to be closed');

  const stopsStored = (): Promise<boolean> =>
    until(
      async () => (await bench.commands([subjects.stop()])).length === 0,
      'the stop to be deleted',
    );

  it('ends what waits, closes when all have acknowledged, and is deleted', async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: () => ({ holds: true }),
    }).start();
    const { run } = await bench.submit(sharedSuite(1_200));
    await until(() => agent.held().length === 4, 'the agent to be full');
    const { command } = await bench.stop(run, { reason: 'enough' });
    expect(await closed(run)).toBe('dead');
    await stopsStored();
    await until(async () => (await readdir(bench.resultsDir)).includes(run), 'the directory');
    const folder = join(bench.resultsDir, run);
    expect(JSON.parse(await readFile(join(folder, 'run.json'), 'utf8'))).toMatchObject({
      run: {
        outcome: 'stopped',
        outcomes: { stopped: 1_200 },
        stops: [{ command, reason: 'enough', result: 'dead' }],
      },
    });
    expect(await readFile(join(folder, 'events.ndjson'), 'utf8')).toContain('command.stop_done');
    expect(agent.begun).toHaveLength(4);
  });

  it('of one task leaves the others alone', async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: ({ index }) => ({ holds: index === 0 }),
    }).start();
    const { run } = await bench.submit(sharedSuite(4));
    const [held] = await until(() => (agent.held().length === 1 ? agent.held() : null));
    await bench.stop(run, { task: (held ?? '').split(/[/#]/)[1] ?? '' });
    expect(await closed(run)).toBe('dead');
    await until(async () => (await readdir(bench.resultsDir)).includes(run), 'the directory');
    expect(
      JSON.parse(await readFile(join(bench.resultsDir, run, 'run.json'), 'utf8')),
    ).toMatchObject({
      run: { outcomes: { passed: 3, stopped: 1 } },
    });
  });

  it('that cannot be proven is never called dead', async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: () => ({ holds: true, unproven: true }),
    }).start();
    const { run } = await bench.submit(sharedSuite(2));
    await until(() => agent.held().length === 2);
    await bench.stop(run);
    expect(await closed(run)).toBe('unproven');
  });

  it('stored while nobody led is obeyed by the next leader', async () => {
    const first = await bench.coordinator('c1');
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: () => ({ holds: true }),
    }).start();
    const { run } = await bench.submit(sharedSuite(50));
    await until(() => agent.held().length === 4);
    await first.kill();
    await bench.stop(run);
    await until(() => agent.held().length === 0, 'the agent to obey without a coordinator');
    await bench.coordinator('c2');
    expect(await closed(run)).toBe('dead');
    await until(async () => (await readdir(bench.resultsDir)).includes(run), 'the directory');
    expect(agent.begun).toHaveLength(4);
  });

  it('of a run that has ended, or never was, is closed too', async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent')).start();
    const { run } = await bench.submit(sharedSuite(1));
    await until(async () => (await readdir(bench.resultsDir)).includes(run), 'the directory');
    await bench.stop(run);
    await bench.stop('2026-02-13_14-30-45-none');
    await stopsStored();
  });

  it('racing with starts: nothing begins after it is done, every task ends once', async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent')).start();
    const { run } = await bench.submit(sharedSuite(500));
    await until(() => agent.begun.length > 60, 'some to have run');
    await bench.stop(run);
    await closed(run);
    const begun = agent.begun.length;
    await until(async () => (await readdir(bench.resultsDir)).includes(run), 'the directory');
    expect(agent.begun).toHaveLength(begun);
    expect(new Set(agent.begun).size).toBe(begun);
    const events = await bench.events(filters.runEvents(run));
    const ends = taskEnds(events);
    expect(ends).toHaveLength(500);
    expect(new Set(ends).size).toBe(500);
  });
});
