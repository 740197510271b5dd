/**
 * `benchmesh agent run` as it is installed: one line and a status for each bad input, who wins, and the
 * supervisor, as PID 1 too. Needs dist/ (`npm run build`).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '#protocol/messages/errors.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { childrenOf, isRunning, zombieChildrenOf } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import {
  AGENT,
  attemptSpec,
  ROOT,
  spawnProcess,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

const CLI = join(ROOT, 'dist/benchmesh.js');

let mesh: TestMesh;
const started: AgentProcess[] = [];

beforeAll(async () => {
  mesh = await startTestMesh();
});

afterEach(async () => {
  for (const each of started.splice(0)) {
    each.child.kill('SIGKILL');
    await each.exited;
  }
});

afterAll(async () => {
  await mesh.close();
});

interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Words before the program. */
  readonly below?: readonly string[];
}

/** `benchmesh agent run`, with no setting of this machine. */
function run(flags: readonly string[], { env = {}, below = [] }: RunOptions = {}): AgentProcess {
  const words = [...below, process.execPath, CLI, 'agent', 'run', ...flags];
  const none = {
    BENCHMESH_SERVER: '',
    BENCHMESH_CREDENTIAL: '',
    BENCHMESH_HOME: join(mesh.dir, 'home'),
  };
  const agent = spawnProcess(words, { ...none, ...env });
  started.push(agent);
  return agent;
}

/** Runs until the next `agent.started`. */
async function up(flags: readonly string[], options: RunOptions = {}): Promise<AgentProcess> {
  const before = mesh.find('agent.started').length;
  const agent = run(flags, options);
  await until(() => mesh.find('agent.started').length > before, `its start: ${agent.stderr()}`);
  return agent;
}

async function config(name: string, text: string): Promise<string> {
  const file = join(mesh.dir, name);
  await writeFile(file, text);
  return file;
}

const registration = (): Registration => {
  const last = mesh.find('agent.started').at(-1)?.data.registration;
  if (last === undefined) throw new Error('no agent has started');
  return last;
};

/** Waits for the file `name.go`; its pid is in `name.pid`. */
const waits = (name: string): AttemptSpec =>
  attemptSpec([
    step(`echo $$ > ${mesh.dir}/${name}.pid; echo before
      while [ ! -e ${mesh.dir}/${name}.go ]; do sleep 0.02; done; echo after`),
  ]);

const pidOf = (name: string): number => Number(readFileSync(join(mesh.dir, `${name}.pid`), 'utf8'));

async function begun(spec: AttemptSpec): Promise<void> {
  await mesh.startAttempt(spec);
  await until(async () => (await mesh.log(spec)).both.length > 0, 'its first line');
}

describe('bad input', () => {
  test.each([
    [
      'a wrong flag',
      ['--slots', 'x'],
      {},
      EXIT.usage,
      /^benchmesh: option '--slots <n>' argument 'x' is invalid. It must be a whole number from 1 to 4096.$/,
    ],
    ['a wrong label', ['--label', 'x'], {}, EXIT.usage, /^benchmesh: .*"x" must be key=value/],
    [
      'a wrong variable',
      [],
      { BENCHMESH_AGENT_REFRESH: '1d' },
      EXIT.usage,
      /^benchmesh: BENCHMESH_AGENT_REFRESH: must be a duration .*, not "1d"$/,
    ],
    [
      'no config',
      ['--config', 'nowhere.yaml'],
      {},
      EXIT.usage,
      /^benchmesh: nowhere.yaml cannot be read: ENOENT/,
    ],
    [
      'no config in the environment',
      [],
      { BENCHMESH_AGENT_CONFIG: '/nowhere.yaml' },
      EXIT.usage,
      /^benchmesh: \/nowhere.yaml cannot be read: ENOENT/,
    ],
    ['no mesh', [], {}, EXIT.unreachable, /^benchmesh: no mesh is running: no --server/],
    [
      'a wrong address',
      ['--server', 'http://x'],
      {},
      EXIT.usage,
      /^benchmesh: "http:\/\/x" is no server address/,
    ],
    [
      'no credential',
      ['--server', 'nats://127.0.0.1:1', '--credential', '/nowhere'],
      {},
      EXIT.usage,
      /credential file \/nowhere cannot be read/,
    ],
    [
      'a silent server',
      ['--server', 'nats://127.0.0.1:1', '--connect-timeout', '300ms'],
      {},
      EXIT.unreachable,
      /no nats-server answers at nats:\/\/127.0.0.1:1/,
    ],
  ] as const)('%s', async (...row) => {
    const [, flags, env, status, line] = row;
    const { code, stderr } = await run(['--id', 'bad', ...flags], { env }).exited;
    expect(
      stderr
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^benchmesh-agent: /, ''),
    ).toMatch(line);
    expect(code).toBe(status);
  });

  test('a config, with the place of each mistake', async () => {
    const file = await config('wrong.yaml', 'slots: x\nlabel:\n  a: b\n');
    expect(await run(['--config', file]).exited).toMatchObject({
      code: EXIT.usage,
      stderr:
        `benchmesh: ${file}:1:8: slots: must be a number, not "x"\n` +
        `benchmesh: ${file}:2:1: label: unknown key "label". Did you mean "labels"?\n`,
    });
    await writeFile(file, Buffer.from([0x69, 0x64, 0x3a, 0x20, 0xff]));
    expect(await run(['--config', file]).exited).toMatchObject({
      code: EXIT.usage,
      stderr: `benchmesh: ${file}:1:5: this is not UTF-8; save the file as UTF-8\n`,
    });
  });

  test('a state folder that is no folder, or another agent has', async () => {
    const first = await up(mesh.flags());
    const second = await run(mesh.flags()).exited;
    expect([second.code, second.stderr]).toEqual([
      EXIT.failed,
      expect.stringContaining(`is held by another agent process, pid ${registration().pid}`),
    ]);
    const nowhere = await run(mesh.flags('bad', join(mesh.server.credentialFile, 'state'))).exited;
    expect([nowhere.code, nowhere.stderr]).toEqual([
      EXIT.failed,
      expect.stringContaining('cannot be used'),
    ]);
    expect(first.child.exitCode).toBeNull();
  });
});

test('a silent server is waited for, which is said; TERM ends that', async () => {
  const agent = run(['--id', 'w', '--server', 'nats://127.0.0.1:1']);
  await until(() => agent.stderr().includes('warn: server not reachable, trying on'), 'the line');
  expect(existsSync(join(mesh.dir, 'home/agents/w/agent.log'))).toBe(true);
  agent.child.kill('SIGTERM');
  expect((await agent.exited).code).toBe(EXIT.ok);
});

test('flag before environment before config, whose paths are beside it', async () => {
  const folder = join(mesh.dir, 'etc');
  await mkdir(folder);
  await writeFile(join(folder, 'cred'), await readFile(mesh.server.credentialFile));
  const text = [
    `id: ${AGENT}`,
    `server: ${mesh.server.url}`,
    'credential: cred',
    'state: ../state',
    'slots: 3',
    'labels: {from: file, file: 1, both: file}',
  ];
  const file = await config('etc/agent.yaml', text.join('\n'));
  const env = { BENCHMESH_AGENT_SLOTS: '5', BENCHMESH_AGENT_LABELS: 'from=env,both=env' };
  await up(['--config', file]);
  expect(registration()).toMatchObject({ slots: 3, stateDir: mesh.state, labels: { file: '1' } });
  await end();
  await up([], { env: { ...env, BENCHMESH_AGENT_CONFIG: file } });
  expect(registration()).toMatchObject({
    slots: 5,
    labels: { from: 'env', both: 'env', file: '1' },
  });
  await end();
  await up(['--config', file, '--slots', '7', '--label', 'from=flag'], { env });
  expect(registration()).toMatchObject({
    slots: 7,
    labels: { from: 'flag', both: 'env', file: '1' },
  });
  await end();
});

/** TERM to all that run; each has nothing to wait for. */
async function end(): Promise<void> {
  for (const each of started.splice(0)) {
    each.child.kill('SIGTERM');
    expect(await each.exited).toMatchObject({ code: 0 });
  }
}

test('one process: it is the agent itself that has the signals', async () => {
  const agent = await up(mesh.flags());
  expect(registration().pid).toBe(agent.pid);
  await end();
  expect(agent.stderr()).toContain(': drained');
});

describe('--supervise', () => {
  test('a killed agent is started again and adopts; TERM drains it and ends with its status', async () => {
    const supervisor = await up([...mesh.flags(), '--supervise']);
    const spec = waits('s1');
    await begun(spec);
    const [benchmark, agent] = [pidOf('s1'), registration().pid];
    expect(agent).not.toBe(supervisor.pid);
    process.kill(agent, 'SIGKILL');
    await until(() => registration().pid !== agent, 'another agent');
    expect(supervisor.stderr()).toContain('the agent was ended by SIGKILL; started again in 1 s');
    expect(mesh.find('agent.started').at(-1)?.data.adopted).toBe(1);
    expect([pidOf('s1'), isRunning(benchmark)]).toEqual([benchmark, true]);
    supervisor.child.kill('SIGTERM');
    await until(() => supervisor.stderr().includes('waits for'), 'the drain');
    await writeFile(join(mesh.dir, 's1.go'), '');
    expect((await supervisor.exited).code).toBe(EXIT.ok);
    expect((await mesh.exited(spec)).data.outcome).toBe('passed');
    expect((await mesh.log(spec)).stdout.toString()).toBe('before\nafter\n');
  });

  test('SIGUSR2: the config is read again, what runs is adopted', async () => {
    const text = (slots: number | string): string =>
      `id: ${AGENT}\nstate: ${mesh.state}\nserver: ${mesh.server.url}\ncredential: ${mesh.server.credentialFile}\nslots: ${slots}\n`;
    const file = await config('renewed.yaml', text(2));
    const supervisor = await up(['--config', file, '--supervise']);
    const spec = waits('s2');
    await begun(spec);
    const renewed = async (slots: number | string): Promise<void> => {
      const { pid } = registration();
      await writeFile(file, text(slots));
      supervisor.child.kill('SIGUSR2');
      await until(() => registration().pid !== pid, 'another agent');
    };
    await renewed(4);
    expect(registration()).toMatchObject({ slots: 4 });
    await renewed('many');
    expect(supervisor.stderr()).toContain(
      'slots: must be a number, not "many"; the agent is started as before',
    );
    expect(registration()).toMatchObject({ slots: 4 });
    await writeFile(join(mesh.dir, 's2.go'), '');
    expect((await mesh.exited(spec)).data.outcome).toBe('passed');
    expect(mesh.of(spec, 'attempt.adopted')).toHaveLength(2);
    supervisor.child.kill('SIGTERM');
    expect((await supervisor.exited).code).toBe(EXIT.ok);
  });

  test('without perl too; a supervisor that is killed leaves no agent behind, and the attempt alone', async () => {
    const bin = join(mesh.dir, 'bin');
    await mkdir(bin);
    const supervisor = await up([...mesh.flags(), '--supervise'], { env: { PATH: bin } });
    expect(supervisor.stderr()).toContain('no perl here');
    const spec = waits('s3');
    await begun(spec);
    const { pid } = registration();
    started.splice(0);
    supervisor.child.kill('SIGKILL');
    await supervisor.exited;
    await until(() => !isRunning(pid), 'the agent to leave');
    expect(isRunning(pidOf('s3'))).toBe(true);
    await up(mesh.flags());
    await writeFile(join(mesh.dir, 's3.go'), '');
    expect((await mesh.exited(spec)).data.outcome).toBe('passed');
    await end();
  });

  test('what starting again cannot mend ends it', async () => {
    const wrong = await config('wrong.json', '{"user":"nobody","password":"wrong"}');
    const flags = ['--id', 'bad', '--server', mesh.server.url, '--credential', wrong];
    const { code, stderr } = await run([...flags, '--supervise']).exited;
    expect([code, stderr]).toEqual([
      EXIT.notPermitted,
      expect.stringContaining('cannot mend that'),
    ]);
  });

  const NAMESPACE = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
  const canUnshare = spawnSync('unshare', [...NAMESPACE.slice(1), 'true']).status === 0;
  test.skipIf(!canUnshare)(
    `as PID 1 it takes in what a dead agent leaves, and no zombie stays${canUnshare ? '' : ' (skipped: no pid namespace can be made here, that needs root)'}`,
    async () => {
      const unshare = await up([...mesh.flags(), '--supervise'], { below: NAMESPACE });
      const inside = childrenOf(unshare.pid)[0] ?? 0;
      const specs = [waits('p1'), waits('p2')];
      for (const spec of specs) await begun(spec);
      const family = (): number[] => [
        inside,
        ...childrenOf(inside),
        ...childrenOf(inside).flatMap(childrenOf),
      ];
      const agent =
        family().find((pid) =>
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('dist/agent.js'),
        ) ?? 0;
      const count = mesh.find('agent.started').length;
      process.kill(agent, 'SIGKILL');
      await until(() => mesh.find('agent.started').length > count, 'another agent');
      for (const name of ['p1', 'p2']) await writeFile(join(mesh.dir, `${name}.go`), '');
      for (const spec of specs) expect((await mesh.exited(spec)).data.outcome).toBe('passed');
      await until(() => family().flatMap(zombieChildrenOf).length === 0, 'all to be reaped');
      process.kill(inside, 'SIGTERM');
      expect((await unshare.exited).code).toBe(EXIT.ok);
    },
  );
});
