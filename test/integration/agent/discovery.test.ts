/** A real agent that asks a fake nvidia-smi on its PATH: what it says, and how the CLI shows it. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EXIT } from '#protocol/messages/errors.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { listAgents } from '#protocol/nats/agents/registry.ts';
import { FakeTools } from '#test/support/fake-tools.ts';
import { section } from '#test/support/smi-captures.ts';
import { until } from '#test/support/until.ts';
import {
  AGENT,
  attemptSpec,
  ROOT,
  spawnAgent,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

const run = promisify(execFile);

interface AgentsJson {
  readonly agents: readonly { readonly agent: string; readonly registration: Registration }[];
}

let mesh: TestMesh;
let tools: FakeTools;
let agent: AgentProcess | null;

beforeEach(async () => {
  mesh = await startTestMesh();
  tools = new FakeTools(join(mesh.dir, 'tools'));
  agent = null;
});
afterEach(async () => {
  if (agent !== null) await mesh.kill(agent);
  await mesh.close();
});

async function start(...extra: string[]): Promise<Registration> {
  const before = mesh.find('agent.started').length;
  agent = spawnAgent([...mesh.flags(), '--refresh', '1s', ...extra], { PATH: tools.path });
  await until(() => mesh.find('agent.started').length > before, 'the agent to start');
  const started = mesh.find('agent.started').at(-1);
  if (started === undefined) throw new Error('it did not start');
  return started.data.registration;
}

async function cli(...args: string[]): Promise<string> {
  const { url, credentialFile } = mesh.server;
  const flags = ['--server', url, '--credential', credentialFile];
  const main = ['--import', 'tsx', join(ROOT, 'cli/main.ts')];
  const { stdout } = await run(process.execPath, [...main, ...args, ...flags], { cwd: ROOT });
  return stdout;
}

const gpusOf = (registration: Registration | undefined): readonly Gpu[] =>
  registration?.hardware?.gpus ?? [];

async function shown(): Promise<Registration | undefined> {
  const { agents } = JSON.parse(await cli('agents', '--json')) as AgentsJson;
  return agents[0]?.registration;
}

describe('an agent', { timeout: 90_000 }, () => {
  it('registers what it found, tells a change, and agents and the registry show the newest', async () => {
    tools.replay('l40s', 'idle');
    const first = await start('--label', 'rack=r7', '--label', 'tier=a');
    expect(first.labels).toEqual({ rack: 'r7', tier: 'a' });
    expect(gpusOf(first)).toMatchObject([{ name: 'NVIDIA L40S', state: 'ready', processes: [] }]);
    expect(first.slots).toBe(first.cpus);

    tools.replay('l40s', 'load');
    const used = await mesh.wait('agent.changed');
    // Fenced too, where those pids cannot be told to have ended: in a container.
    expect(used.data.changes).toContain(
      'GPU GPU-00000000-0000-0000-0000-000000000000: used by ffmpeg (20037), ffmpeg (20038)',
    );

    const { gpus, processes, version } = {
      gpus: section('l40s', 'idle-gpus').replace(', valid, None,', ', valid, Reset,'),
      processes: section('l40s', 'idle-processes'),
      version: section('l40s', 'version'),
    };
    tools.answer({ gpus, processes, version });
    await mesh.wait(
      'agent.changed',
      ({ registration }) => gpusOf(registration)[0]?.state === 'failed',
    );
    expect(gpusOf(await shown())).toMatchObject([
      { state: 'failed', reason: 'the driver asks for a recovery: Reset', processes: [] },
    ]);
    await until(async () => {
      const [record] = await listAgents(mesh.connection);
      const value = JSON.parse(new TextDecoder().decode(record?.data)) as Registration;
      return gpusOf(value)[0]?.state === 'failed';
    }, 'the registry to say it');
    const table = await cli('agents');
    expect(table).toContain('1x NVIDIA L40S (1 failed)');
    expect(table).toContain('failed: the driver asks for a recovery: Reset');
    expect(await cli('agents', AGENT)).toContain('rack=r7 tier=a');
    await expect(cli('agents', 'nobody')).rejects.toMatchObject({ code: EXIT.notFound });
  });

  it('goes on through every trouble of the tool, and never loses sight of the GPU', async () => {
    tools.replay('h100-mig', 'idle');
    expect(gpusOf(await start())).toHaveLength(5);
    const last = (): Registration | undefined =>
      mesh.find('agent.changed').at(-1)?.data.registration;
    const stateOf = (): string[] => [...new Set(gpusOf(last()).map(({ state }) => state))];

    tools.answer({}, 'echo "NVIDIA-SMI has failed because it couldn\'t communicate"; exit 9\n');
    await until(() => stateOf().join() === 'failed', 'all to fail with the driver');
    expect(gpusOf(last())).toHaveLength(5);
    expect(gpusOf(last())[0]?.reason).toContain('status 9');

    tools.replay('h100-mig', 'load');
    await until(() => stateOf().join() === 'partitioned,ready', 'all to be back');

    tools.answer({}, 'sleep 60 & wait\n');
    await until(() => stateOf().join() === 'failed', 'the hang to be seen');
    expect(gpusOf(last())[0]?.reason).toBe('nvidia-smi hangs: no end after 1 s');
    const spec = attemptSpec([step('echo benchmark')]);
    await mesh.startAttempt(spec);
    expect((await mesh.exited(spec)).data.outcome).toBe('passed');

    tools.remove('nvidia-smi');
    await until(
      () => gpusOf(last())[0]?.reason === 'nvidia-smi is not installed any more',
      'its removal',
    );
    expect(gpusOf(last())).toHaveLength(5);
  });

  it('does not wait for a tool that hangs: it starts, and says what it found later', async () => {
    tools.answer({}, 'sleep 60 & wait\n');
    agent = spawnAgent([...mesh.flags(), '--refresh', '8s'], { PATH: tools.path });
    const started = await mesh.wait('agent.started');
    expect(started.data.registration.hardware?.gpuProbes[0]).toMatchObject({ state: 'waiting' });
    const changed = await mesh.wait('agent.changed');
    expect(changed.data.changes[0]).toContain('nvidia-smi: waiting -> failed (nvidia-smi hangs');
    await mesh.kill(agent);
    // What was seen of an earlier start is missed by the next.
    tools.replay('l40s', 'idle');
    expect(gpusOf(await start())).toHaveLength(1);
    await mesh.kill(agent);
    tools.remove('nvidia-smi');
    expect(gpusOf(await start())).toMatchObject([{ name: 'NVIDIA L40S', state: 'failed' }]);
  });

  it.each([[['--label', 'rack']], [['--label', 'a=1', '--label', 'a=2']], [['--refresh', '0s']]])(
    'wrong flags %j are usage',
    async (flags) => {
      expect((await spawnAgent([...mesh.flags(), ...flags]).exited).code).toBe(EXIT.usage);
    },
  );
});
