import { spawn, type ChildProcess } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventRecord } from '#protocol/fold/record.ts';
import { taskEnds } from '#test/support/task-ends.ts';
import { until } from '#test/support/until.ts';
import { openBench, sharedSuite, type CoordinatorBench } from './bench.ts';
import { FakeAgent } from './fake-agent.ts';

/** The program as it runs, under the same loader as the tests: no build is needed. */
class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  #said = '';

  constructor(args: readonly string[]) {
    const node = ['--import', 'tsx', 'coordinator/main.ts', ...args];
    this.child = spawn(process.execPath, node, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr?.on('data', (bytes: Buffer) => (this.#said += bytes.toString()));
    this.ended = new Promise((resolve) => this.child.on('close', resolve));
  }

  said(): string {
    return this.#said;
  }
}

describe('the process', () => {
  let bench: CoordinatorBench;
  let agent: FakeAgent | null = null;
  const programs: Program[] = [];

  const start = (id: string, more: readonly string[] = []): Program => {
    const program = new Program([
      ...['--id', id, '--server', bench.server.url, '--credential', bench.server.credentialFile],
      ...['--results', bench.resultsDir, '--log-file', join(bench.server.home, `${id}.log`)],
      ...more,
    ]);
    programs.push(program);
    return program;
  };
  const leads = (id: string): Promise<boolean> =>
    until(async () => {
      try {
        return (await bench.info()).coordinator === id;
      } catch {
        return false;
      }
    }, `${id} to lead`);

  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(async () => {
    await agent?.close();
    agent = null;
    for (const { child, ended } of programs.splice(0)) {
      child.kill('SIGKILL');
      await ended;
    }
    await bench.close();
  });

  it('ends with 0 on SIGTERM and leaves the lease to the next at once', async () => {
    const first = start('c1');
    await leads('c1');
    const second = start('c2');
    await until(() => second.said().includes('standing by'), 'the second to stand by');
    expect(second.said()).toMatch(/another coordinator \(c1, .+, \d+\) leads; standing by\n$/);
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    await leads('c2');
  });

  it(
    'stopped past its lease and continued, stores nothing more; the next one finishes the run',
    { timeout: 120_000 },
    async () => {
      const first = start('c1');
      await leads('c1');
      agent = await new FakeAgent(await bench.server.connect('agent'), {
        play: ({ index }) => ({ holds: index < 3 }),
      }).start();
      const { run } = await bench.submit(
        sharedSuite(40, { needs: { slots: 1, cpus: 0, exclusive: false } }),
      );
      const own = agent;
      await until(() => own.held().length === 3, 'some to run');
      first.child.kill('SIGSTOP');
      const second = start('c2');
      await leads('c2');
      own.finish(); // what the stopped one will find to do when it is continued
      first.child.kill('SIGCONT');
      await until(async () => (await readdir(bench.resultsDir)).includes(run), 'the directory');
      await until(() => first.said().includes('(c2, '), 'the first to stand by');
      const events = (await readFile(join(bench.resultsDir, run, 'events.ndjson'), 'utf8'))
        .trim()
        .split('\n');
      const records = events.map((line) => JSON.parse(line) as EventRecord);
      const epochs = records.map(({ message }) => message.epoch).filter((epoch) => epoch !== null);
      expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
      expect(epochs.at(-1)).toBe(2);
      const ends = taskEnds(records);
      expect([ends.length, new Set(ends).size]).toEqual([40, 40]);
      expect(new Set(own.begun).size).toBe(own.begun.length);
      second.child.kill('SIGTERM');
      expect(await second.ended).toBe(0);
    },
  );

  it.each([
    ['a server that is not there', ['--server', 'nats://127.0.0.1:1'], 7, /no nats-server answers/],
    [
      'a credential that is not there',
      ['--credential', '/nowhere/c'],
      2,
      /credential file \/nowhere\/c/,
    ],
    [
      'a results folder that cannot be',
      ['--results', '/etc/hostname/results'],
      1,
      /results folder \/etc\/hostname\/results/,
    ],
    ['a flag that is not one', ['--nonsense'], 2, /nonsense/],
  ])(
    'says in one line that it cannot start: %s',
    { timeout: 60_000 },
    async (_what, flags, status, words) => {
      const program = start('c1', flags);
      expect(await program.ended).toBe(status);
      expect(program.said()).toMatch(words);
      expect(program.said().trim().split('\n')).toHaveLength(1);
    },
  );
});
