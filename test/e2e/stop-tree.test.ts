/** I5, I6, I9: stop means dead, whatever the tree does, whoever else is dead. */
import { join, resolve } from 'node:path';
import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';
import { processesMarked } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const TREE = resolve('test/fixtures/process-tree.pl');
const KINDS = 'plain=80 setsid=40 daemon=30 envless=20 stubborn=15 stopped=5 chain=10';

interface StopJson {
  verdict: string;
  agents: {
    agent: string;
    done: boolean;
    attempts: { processes: number; proof: string; proven: boolean; survivors: number[] }[];
  }[];
}

describe('stop of 200 processes that try to escape', () => {
  let mesh: TestMesh;
  afterEach(async () => {
    await mesh.dispose();
    for (const pid of processesMarked(mark())) process.kill(pid, 'SIGKILL');
  });
  const mark = (): string => `mark-${mesh.home.split('-').at(-1) ?? ''}`;

  async function begin(...flags: string[]): Promise<string> {
    mesh = await TestMesh.create();
    await mesh.up(...flags);
    const ready = join(mesh.home, 'ready');
    const suite = await mesh.file(
      'tree.yaml',
      `name: tree\ngrace: 500ms\nrun: [perl, "${TREE}", "${mark()}", "${ready}", ${KINDS.split(' ').join(', ')}]\n`,
    );
    const run = await mesh.submit(suite);
    await until(() => readFile(ready), 'the tree to stand');
    expect(processesMarked(mark()).length).toBeGreaterThan(150);
    return run;
  }

  it('leaves nothing, says how many and how it knows', async () => {
    const run = await begin();
    const result = await mesh.cli(['stop', run, '--json', '--reason', 'enough']);
    expect(processesMarked(mark())).toEqual([]);
    expect(result.status, result.stderr).toBe(0);
    const stop = JSON.parse(result.stdout) as StopJson;
    expect(stop.verdict).toBe('dead');
    expect(stop.agents[0]?.attempts[0]).toMatchObject({ proven: true, survivors: [] });
    expect(stop.agents[0]?.attempts[0]?.proof).toMatch(/^(cgroup|subreaper)$/);
    expect(stop.agents[0]?.attempts[0]?.processes).toBeGreaterThan(150);
    await mesh.archived(run);
    const logs = await mesh.cli(['logs', run, '-f']);
    expect(logs.stdout + logs.stderr).toContain('enough');
  });

  it('needs no coordinator', async () => {
    const run = await begin();
    await mesh.kill9('coordinator');
    const result = await mesh.cli(['stop', run]);
    expect(processesMarked(mark())).toEqual([]);
    expect(result.status, result.stderr).toBe(0);
  });

  it('completes by itself when the agent returns', async () => {
    const run = await begin();
    await mesh.kill9('agent');
    const result = await mesh.cli(['stop', run, '--no-wait']);
    expect(result.status, result.stderr).toBe(0);
    expect(processesMarked(mark()).length).toBeGreaterThan(100);
    await mesh.up();
    await until(() => processesMarked(mark()).length === 0, 'the tree to be gone');
    const directory = await mesh.archived(run);
    expect(JSON.parse(await readFile(join(directory, 'run.json'), 'utf8'))).toMatchObject({
      run: { outcome: 'stopped' },
    });
  });

  it('on the scan rung it is never called clean', async () => {
    const run = await begin('--rung', 'scan');
    const result = await mesh.cli(['stop', run, '--json']);
    const stop = JSON.parse(result.stdout) as StopJson;
    expect(result.status).toBe(8);
    expect(stop.verdict).toBe('unproven');
    expect(stop.agents[0]?.attempts[0]).toMatchObject({ proof: 'scan', proven: false });
  });
});
