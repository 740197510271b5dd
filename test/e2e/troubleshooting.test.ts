/** docs/troubleshooting.md, row by row: each symptom is made, and its words are looked for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { processesWithEnvironment } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const rows = [
  ...readFileSync('docs/troubleshooting.md', 'utf8').matchAll(
    /^\| (.+?) \| `(benchmesh .+?)` \| /gm,
  ),
].map((match) => match[1] ?? '');

const SLOW = 'name: slow\nrun: [sleep, "300"]\n';

let mesh: TestMesh;

async function taskOf(run: string): Promise<TaskView> {
  const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run);
  const [task] = tasks;
  if (task === undefined) throw new Error(`${run} has no task`);
  return task;
}

async function runOf(text: string): Promise<string> {
  const run = await mesh.submit(await mesh.file('suite.yaml', text));
  await mesh.archived(run);
  return run;
}

async function running(): Promise<string> {
  const run = await mesh.submit(await mesh.file('slow.yaml', SLOW));
  await until(async () => (await taskOf(run)).state === 'running', 'the task to run');
  return run;
}

/** A mesh of the row's own, where the row breaks it. */
async function withMesh(
  flags: readonly string[],
  use: (own: TestMesh) => Promise<void>,
): Promise<void> {
  const shared = mesh;
  mesh = await TestMesh.create();
  try {
    await mesh.up(...flags);
    await use(mesh);
  } finally {
    await mesh.dispose();
    mesh = shared;
  }
}

const CASES: Readonly<Record<string, () => Promise<void>>> = {
  '`no mesh is running`': async () => {
    const empty = await TestMesh.create();
    const result = await empty.cli(['agents']);
    expect([result.status, result.stderr]).toEqual([
      7,
      expect.stringContaining('no mesh is running'),
    ]);
    await empty.dispose();
  },
  '`the local mesh does not answer`': () =>
    withMesh([], async (own) => {
      await own.kill9('server');
      const result = await own.cli(['agents']);
      expect([result.status, result.stderr]).toEqual([
        7,
        expect.stringContaining('the local mesh does not answer'),
      ]);
      await own.up();
      await own.ok('agents');
    }),
  '`run` waits and says `behind`': async () => {
    const first = await running();
    const suite = await mesh.file('hello.yaml', 'name: hello\nrun: [echo, hello]\n');
    const second = await mesh.cli(['run', suite, '--detach']);
    expect(second.stdout + second.stderr).toMatch(new RegExp(`behind.*${first}`));
    const rejected = await mesh.cli(['run', suite, '--if-busy', 'reject']);
    expect([rejected.status, rejected.stderr]).toEqual([6, expect.stringContaining(first)]);
    await mesh.ok('stop', first);
    await mesh.archived(second.stdout.trim().split(/\s+/).at(-1) ?? '');
  },
  'a task stays `pending`': async () => {
    const suite = await mesh.file(
      'wide.yaml',
      'name: wide\nneeds: {slots: 4000}\nrun: [echo, hello]\n',
    );
    const plan = await mesh.cli(['plan', suite]);
    expect(plan.stdout + plan.stderr).toContain('they wait until one joins that can run them');
    const run = await mesh.submit(suite);
    const task = await taskOf(run);
    expect(task.state).toBe('pending');
    const never = /local-1: never: 4000 slots needed, it has \d+/;
    expect(await mesh.ok('explain', `${run}/${task.id}`)).toMatch(never);
    expect(await mesh.json('explain', 'local-1')).toMatchObject({
      agent: 'local-1',
      runs: [{ run, waiting: 1, reason: { kind: 'never', of: 'slots', needs: 4000 } }],
    });
    await mesh.ok('stop', run);
    await mesh.archived(run);
    expect(await mesh.ok('explain', `${run}/${task.id}`)).toContain('it has ended: stopped');
    const none = await mesh.cli(['explain', 'nobody']);
    expect([none.status, none.stderr]).toEqual([
      5,
      expect.stringContaining('no agent and no run "nobody"'),
    ]);
    expect(await mesh.json('explain', run)).toMatchObject({ run, tasks: 1, ended: 1, groups: [] });
  },
  '`unreachable` beside a task': () =>
    withMesh([], async (own) => {
      const run = await running();
      const agent = await own.pid('agent');
      process.kill(agent, 'SIGSTOP');
      try {
        await until(async () => (await taskOf(run)).unreachable, 'the agent to be missed');
        expect(await own.ok('tasks', run)).toContain('unreachable');
        expect(await own.ok('agents')).toContain('unreachable');
      } finally {
        process.kill(agent, 'SIGCONT');
      }
      await until(async () => !(await taskOf(run)).unreachable, 'the agent to be heard again');
      await own.ok('stop', run);
    }),
  '`stop` exits with 8 and says `unproven`': () =>
    withMesh(['--rung', 'scan'], async (own) => {
      const stop = await own.cli(['stop', await running()]);
      expect([stop.status, stop.stdout + stop.stderr]).toEqual([
        8,
        expect.stringContaining('unproven'),
      ]);
      const doctor = await own.cli(['doctor']);
      expect(doctor.stdout).toContain('scan');
    }),
  '`stop` exits with 8 and says `open`': () =>
    withMesh([], async (own) => {
      const run = await running();
      await own.kill9('agent');
      const stop = await own.cli(['stop', run, '--wait', '1s']);
      expect([stop.status, stop.stdout + stop.stderr]).toEqual([
        8,
        expect.stringContaining('open'),
      ]);
      await own.up();
      await own.archived(run);
    }),
  'outcome `lost`': async () => {
    const run = await mesh.submit(
      await mesh.file('lost.yaml', 'name: lost\nrun: [sh, -c, "echo begun; sleep 300"]\n'),
    );
    await until(async () => (await mesh.ok('logs', run)).includes('begun'), 'the log to begin');
    // The helper is the parent of the step, and leads a session of its own.
    const child = processesWithEnvironment('BENCHMESH_RUN', run)[0] ?? NaN;
    const stat = readFileSync(`/proc/${child}/stat`, 'utf8');
    process.kill(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]), 'SIGKILL');
    await mesh.archived(run);
    expect((await taskOf(run)).outcome).toBe('lost');
    expect(await mesh.ok('logs', run)).toContain('begun');
  },
  'class `exec`': async () => {
    const task = await taskOf(await runOf('name: exec\nrun: [no-such-program]\n'));
    expect([task.class, task.message]).toEqual(['exec', expect.stringContaining('not found')]);
  },
  'class `result`': async () => {
    const text =
      'name: result\nrun: [echo, nothing]\nmetrics:\n  - {name: x, unit: s, direction: lower, regex: "x=(?<value>.+)"}\n';
    const task = await taskOf(await runOf(text));
    expect([task.stage, task.class]).toEqual(['collect', 'result']);
    expect(task.message).toContain('x');
  },
  '`another agent process`': async () => {
    const { agent } = await mesh.meshFile();
    const second = await mesh.cli([
      'agent',
      'run',
      '--id',
      'local-1',
      '--state',
      agent?.stateDir ?? '',
    ]);
    expect(second.stderr).toContain('another agent process');
  },
  '`belongs to another state folder`': async () => {
    const second = await mesh.cli([
      'agent',
      'run',
      '--id',
      'local-1',
      '--state',
      join(mesh.home, 'second'),
    ]);
    expect(second.stderr).toContain('belongs to another state folder');
  },
  '`port` is taken': async () => {
    const holder = createServer();
    const port = await new Promise<number>((settle) => {
      holder.listen(0, '127.0.0.1', () => {
        const address = holder.address();
        settle(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    const other = await TestMesh.create();
    expect((await other.cli(['up', '--detach', '--port', String(port)])).stderr).toMatch(
      /port .*\d+/,
    );
    await new Promise((settle) => holder.close(settle));
    await other.dispose();
  },
  'a log is missing the end of lines while it runs': async () => {
    const script = 'process.stdout.write(String(process.stdout.isTTY === true))';
    const pty = await runOf(`name: pty\nstdio: pty\nrun: [node, -e, "${script}"]\n`);
    const pipe = await runOf(`name: pipe\nrun: [node, -e, "${script}"]\n`);
    expect([await mesh.ok('logs', pty, '--raw'), await mesh.ok('logs', pipe, '--raw')]).toEqual([
      'true',
      'false',
    ]);
  },
};

describe('docs/troubleshooting.md', () => {
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up();
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it('has a case for every row, and no other', () => {
    expect(Object.keys(CASES)).toEqual(rows);
  });

  it.each(Object.entries(CASES))('%s', async (_symptom, expectSymptom) => {
    await expectSymptom();
  });
});
