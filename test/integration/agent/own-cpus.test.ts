/** The agent and its helpers keep off the CPUs of attempts: those it reserves, and those it is left. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { readUsableCpus } from '#agent/cpus/cpu-layout.ts';
import { EXIT } from '#protocol/messages/errors.ts';
import { formatCpuList } from '#protocol/messages/agent/cpu-list.ts';
import { until } from '#test/support/until.ts';
import {
  attemptSpec,
  spawnAgent,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

const ALL = readUsableCpus() ?? [];
const REST = formatCpuList(ALL.slice(1));

let mesh: TestMesh;
let agent: AgentProcess;
beforeAll(async () => {
  mesh = await startTestMesh();
});
afterEach(async () => {
  await mesh.kill(agent);
});
afterAll(async () => {
  await mesh.close();
});

const cpusOf = (path: string): string =>
  /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`${path}/status`, 'utf8'))?.[1] ?? '';

/** Of every thread of a process, each list once. */
const threadsOf = (pid: number): string[] => [
  ...new Set(readdirSync(`/proc/${pid}/task`).map((tid) => cpusOf(`/proc/${pid}/task/${tid}`))),
];

const parentOf = (pid: number): number =>
  Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

/** Its own CPUs, then those of its meshrun. */
const SAY = 'grep -h Cpus_allowed_list /proc/self/status /proc/$PPID/status | cut -f2';
/** Until the file is there, or the test is over. */
const waitFor = (file: string): string =>
  `while [ -d ${mesh.dir} ] && ! [ -e ${file} ]; do sleep 0.05; done`;
const free = { slots: 1, cpus: 0, exclusive: false };
const bound = { slots: 1, cpus: ALL.length - 1, exclusive: false };

async function said(script: string, needs: typeof free): Promise<string[]> {
  const spec = attemptSpec([step(script)], { needs });
  await mesh.startAttempt(spec);
  expect((await mesh.exited(spec)).data.outcome).toBe('passed');
  return (await mesh.log(spec)).stdout.toString().trim().split('\n');
}

it.skipIf(ALL.length < 2)(
  'on those it reserves, which no attempt gets',
  { timeout: 60_000 },
  async () => {
    const first = String(ALL[0]);
    agent = await mesh.start(['--reserved-cpus', first]);
    const { registration } = mesh.find('agent.started').at(-1)?.data ?? {};
    expect(registration).toMatchObject({ reservedCpus: first, cpus: ALL.length - 1 });
    await until(() => String(threadsOf(agent.pid)) === first, 'the agent on its CPUs');
    expect(await said(SAY, free)).toEqual([REST, first]);
    expect((await said(SAY, bound)).at(0)).toBe(REST);
    expect(threadsOf(agent.pid)).toEqual([first]);
  },
);

it.skipIf(ALL.length < 2)(
  'on those that attempts leave it, over a restart, and on all again after',
  { timeout: 60_000 },
  async () => {
    const all = formatCpuList(ALL);
    const [go, goBeside] = [join(mesh.dir, 'go'), join(mesh.dir, 'go-beside')];
    agent = await mesh.start(['--slots', '4']);
    const beside = attemptSpec([step(waitFor(goBeside))], {
      needs: free,
    });
    await mesh.startAttempt(beside);
    const { pid } = (await mesh.began(beside)).data;
    const meshrun = (): string => cpusOf(`/proc/${parentOf(pid ?? 0)}`);
    expect(meshrun()).toBe(all);
    const held = attemptSpec([step(`${SAY}; ${waitFor(go)}; ${SAY}`)], {
      needs: bound,
    });
    await mesh.startAttempt(held);
    const taken = (await mesh.began(held)).data.resources?.cpus ?? [];
    expect(taken).toHaveLength(ALL.length - 1);
    const left = formatCpuList(ALL.filter((cpu) => !taken.includes(cpu)));
    await until(
      () => String(threadsOf(agent.pid)) === left,
      'the agent off the CPUs of an attempt',
    );
    await until(() => meshrun() === left, 'the meshrun of another attempt off them too');
    // What is bound to none is not kept where the agent is.
    expect(await said(SAY, free)).toEqual([all, left]);
    await mesh.kill(agent);
    agent = await mesh.start(['--slots', '4']);
    await until(() => String(threadsOf(agent.pid)) === left, 'the next agent off them too');
    writeFileSync(go, '');
    expect((await mesh.exited(held)).data.outcome).toBe('passed');
    const own = formatCpuList(taken);
    const lines = (await mesh.log(held)).stdout.toString().trim().split('\n');
    expect(lines).toEqual([own, left, own, left]);
    await until(() => String(threadsOf(agent.pid)) === all, 'the agent on all CPUs again');
    await until(() => meshrun() === all, 'an adopted meshrun on all CPUs again');
    await mesh.kill(agent);
    agent = await mesh.start(['--reserved-cpus', String(ALL[0])]);
    await until(() => meshrun() === String(ALL[0]), 'an adopted meshrun on reserved CPUs');
    writeFileSync(goBeside, '');
    expect((await mesh.exited(beside)).data.outcome).toBe('passed');
  },
);

it('refuses a list it cannot keep, before it looks for a server', async () => {
  agent = spawnAgent([
    ...mesh.flags('b1', join(mesh.dir, 'b1')),
    '--reserved-cpus',
    `${ALL[0]},4000`,
  ]);
  const { code, stderr } = await agent.exited;
  expect(code).toBe(EXIT.usage);
  expect(stderr).toBe(
    `benchmesh-agent: reservedCpus names CPU 4000, and this agent may use ${formatCpuList(ALL)}\n`,
  );
});
