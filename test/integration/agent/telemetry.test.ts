/** What a real agent measures of real processes, beside what the kernel says of them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { filters, subjects } from '#protocol/messages/subjects.ts';
import type {
  AttemptSample,
  AttemptTelemetry,
  HostSample,
  Perturbation,
} from '#protocol/messages/agent/telemetry.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { CgroupSubtree, NO_CGROUPS } from '#test/support/cgroups.ts';
import { FakeTools } from '#test/support/fake-tools.ts';
import { cpuSeconds, isRunning, processesMarked } from '#test/support/processes.ts';
import { smiRow, smiTable } from '#test/support/smi-loop.ts';
import { until } from '#test/support/until.ts';
import {
  AGENT,
  attemptSpec,
  RUN,
  spawnAgent,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

const MIB = 1_024 * 1_024;
const NODE = process.execPath;

/** Uses a core for so long, and holds so much memory. */
function burner(seconds: number, mib: number): string[] {
  const script = `const held = Buffer.alloc(${mib} * 1048576, 1); const end = Date.now() + ${seconds * 1_000}; while (Date.now() < end); process.exitCode = held[0] - 1;`;
  return [NODE, '-e', script];
}

let mesh: TestMesh;
let tools: FakeTools;
let agent: AgentProcess | null;
let outside: ChildProcess | null;

beforeEach(async () => {
  mesh = await startTestMesh();
  tools = new FakeTools(join(mesh.dir, 'tools'));
  agent = null;
  outside = null;
});
afterEach(async () => {
  outside?.kill('SIGKILL');
  if (agent !== null) await mesh.kill(agent);
  await mesh.close();
});

/** The fake tools that sample. */
function looping(): number[] {
  return processesMarked(join(tools.dir, 'nvidia-smi'), '-lms');
}

async function measured(spec: AttemptSpec): Promise<AttemptTelemetry> {
  const { data } = await mesh.exited(spec);
  expect(data.outcome, data.reason ?? '').toBe('passed');
  if (data.telemetry === undefined) throw new Error('nothing was measured');
  return data.telemetry;
}

/** Samples stored in BM_METRICS, in order. */
async function stored(spec: AttemptSpec): Promise<{ own: AttemptSample[]; host: HostSample[] }> {
  const found = { own: [] as AttemptSample[], host: [] as HostSample[] };
  for (const filter of [filters.metricsOf(RUN, spec.task), subjects.hostMetrics(AGENT)]) {
    await readAll(mesh.connection, { stream: 'BM_METRICS', filters: [filter] }, ({ data }) => {
      const decoded = decode(data);
      if (decoded.kind === 'rejected') throw new Error(decoded.reason);
      const { message } = decoded;
      if (message.name === 'attempt.sampled') found.own.push(...message.data.samples);
      if (message.name === 'host.sampled') found.host.push(...message.data.samples);
    });
  }
  return found;
}

const seriesOf = (telemetry: AttemptTelemetry, name: string) => {
  const found = telemetry.series[name];
  if (found === undefined)
    throw new Error(`no series ${name}: ${Object.keys(telemetry.series).join(' ')}`);
  return found;
};

const perturbation = (
  telemetry: AttemptTelemetry,
  reason: Perturbation['reason'],
): Perturbation | undefined => telemetry.perturbed?.find((one) => one.reason === reason);

describe('an attempt that uses a core and 200 MiB', { timeout: 90_000 }, () => {
  it('has both in its result, and its samples in the stream', async () => {
    agent = await mesh.start();
    const spec = attemptSpec([step('', { argv: burner(4, 200) })]);
    await mesh.startAttempt(spec);
    const telemetry = await measured(spec);
    const { steps } = (await mesh.exited(spec)).data;
    const usedMs = (steps[0]?.userMs ?? 0) + (steps[0]?.systemMs ?? 0);
    const cpu = seriesOf(telemetry, 'cpu');
    const perSecond = usedMs / (steps[0]?.durationMs ?? NaN);
    expect(cpu.mean / perSecond).toBeGreaterThan(0.85);
    expect(cpu.mean / perSecond).toBeLessThan(1.15);
    expect(cpu.max).toBeLessThan(1.3);
    const rss = seriesOf(telemetry, 'memory.rss');
    expect(rss.max).toBeGreaterThan(200 * MIB);
    expect(rss.max).toBeLessThan(350 * MIB);
    expect(seriesOf(telemetry, 'memory.private').max).toBeGreaterThan(200 * MIB);
    expect(seriesOf(telemetry, 'processes')).toMatchObject({ min: 1, max: 1, unit: 'count' });
    expect(telemetry).toMatchObject({ everyMs: 1_000, gaps: [], dropped: 0, problems: [] });
    expect(telemetry.samples).toBeGreaterThanOrEqual(3);
    expect(telemetry.coveredMs).toBeGreaterThan(2_000);
    expect(seriesOf(telemetry, 'agent.cpu').mean).toBeLessThan(0.5);
    expect(seriesOf(telemetry, 'host.cpu.busy').count).toBeGreaterThan(0);

    const own = await until(async () => {
      const samples = (await stored(spec)).own;
      return samples.length === telemetry.samples ? samples : null;
    }, 'every sample in BM_METRICS');
    expect(Math.max(...own.map(({ cores }) => cores ?? 0))).toBeCloseTo(cpu.max, 2);
    const { host } = await stored(spec);
    const times = new Set(host.map(({ timeMs }) => timeMs));
    expect(own.every(({ timeMs }) => times.has(timeMs))).toBe(true);
  });

  it('is perturbed by a burner outside, which is named by how much it used', async () => {
    agent = await mesh.start();
    const [program = '', ...args] = burner(60, 1);
    const spec = attemptSpec([step('', { argv: burner(5, 10) })]);
    await mesh.startAttempt(spec);
    await mesh.began(spec);
    outside = spawn(program, args, { stdio: 'ignore' });
    const pid = outside.pid ?? 0;
    const telemetry = await measured(spec);
    const used = cpuSeconds(pid);
    const other = perturbation(telemetry, 'other_cpu');
    expect(other).toMatchObject({ unit: 'cores', gpu: null });
    const counted = ((other?.mean ?? 0) * telemetry.coveredMs) / 1_000;
    expect(counted).toBeGreaterThan(used * 0.6);
    expect(other?.max).toBeGreaterThan(0.3);
  });

  it('counts what has ended, whatever started it, and daemons', async () => {
    agent = await mesh.start();
    const short = "perl -e '$e = times + 0.05; while (times < $e) {}'";
    const daemon = `setsid ${NODE} -e "const e = Date.now() + 2500; while (Date.now() < e);" & wait`;
    const spec = attemptSpec([step(`for i in $(seq 30); do ${short}; done; ${daemon}; sleep 1.2`)]);
    await mesh.startAttempt(spec);
    const telemetry = await measured(spec);
    const { steps } = (await mesh.exited(spec)).data;
    const usedMs = (steps[0]?.userMs ?? 0) + (steps[0]?.systemMs ?? 0);
    const countedMs = seriesOf(telemetry, 'cpu').mean * telemetry.coveredMs;
    expect(countedMs / usedMs).toBeGreaterThan(0.8);
    expect(countedMs / usedMs).toBeLessThan(1.2);
  });

  it('names what an agent that was killed did not see', async () => {
    agent = await mesh.start();
    const enough = join(mesh.dir, 'enough');
    const spec = attemptSpec([step(`until [ -e '${enough}' ]; do sleep 0.1; done`)]);
    await mesh.startAttempt(spec);
    const began = await mesh.began(spec);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await mesh.kill(agent);
    const before = (await stored(spec)).own.length;
    agent = await mesh.start();
    await until(async () => (await stored(spec)).own.length > before, 'samples of the next');
    await writeFile(enough, '');
    const telemetry = await measured(spec);
    const { elapsedMs } = (await mesh.exited(spec)).data;
    expect(telemetry.gaps).toHaveLength(1);
    const [gap] = telemetry.gaps;
    expect(gap).toMatchObject({ fromMs: 0, reason: 'the agent was started again' });
    expect(gap?.toMs).toBeGreaterThan(began.data.elapsedMs + 2_000);
    expect(telemetry.fromMs).toBeGreaterThanOrEqual((gap?.toMs ?? 0) - 50);
    expect(telemetry.toMs).toBeLessThanOrEqual(elapsedMs);
    expect(telemetry.coveredMs).toBeLessThan(elapsedMs - (gap?.toMs ?? 0) + 100);
  });
});

describe('GPUs of a fake nvidia-smi', { timeout: 90_000 }, () => {
  async function start(): Promise<void> {
    agent = spawnAgent([...mesh.flags()], { PATH: tools.path });
    await mesh.wait('agent.started');
  }

  /** It has the host to itself, so it may use all GPUs. */
  const alone = (script: string): AttemptSpec =>
    attemptSpec([step(script)], { needs: { slots: 1, cpus: 0, exclusive: true } });

  it('are sampled, and throttling is a perturbation', async () => {
    tools.loop(`while :; do cat rows; sleep 1; done`, {
      header: smiTable(),
      rows: `${smiRow({ reasons: '0x0000000000000024', power: '348.20' })}\n`,
    });
    await start();
    const spec = alone('sleep 5');
    await mesh.startAttempt(spec);
    const telemetry = await measured(spec);
    expect(seriesOf(telemetry, 'gpu.0.power')).toMatchObject({ unit: 'W', min: 348.2, max: 348.2 });
    expect(seriesOf(telemetry, 'gpu.0.utilisation').mean).toBe(98);
    expect(perturbation(telemetry, 'gpu_throttled')).toMatchObject({
      gpu: 'GPU-1',
      what: ['sw_power_cap', 'sw_thermal'],
    });
    await until(() => looping().length === 0, 'the tool to end with the sampler');
  });

  it.each([
    ['hangs', 'exec sleep 600', /has not answered yet/],
    ['dies', 'echo "Unable to determine the device handle"; exit 9', /ended with status 9/],
    ['is garbage', 'while :; do head -c 2000 /dev/urandom; sleep 1; done', /nvidia-smi/],
  ])(
    'that %s give no values and a reason; nothing else is harmed',
    async (_how, script, reason) => {
      tools.loop(script, { header: '', rows: '' });
      await start();
      const spec = alone('sleep 4');
      await mesh.startAttempt(spec);
      const telemetry = await measured(spec);
      expect(telemetry.problems.join('; ')).toMatch(reason);
      expect(Object.keys(telemetry.series).filter((name) => name.startsWith('gpu.'))).toEqual([]);
      expect(seriesOf(telemetry, 'memory.rss').count).toBe(telemetry.samples);
    },
  );

  it('are read by nobody once the agent is killed', async () => {
    tools.loop('trap "" TERM HUP; sleep 600 & wait; sleep 600', { header: '', rows: '' });
    await start();
    const spec = attemptSpec([step('sleep 30')]);
    await mesh.startAttempt(spec);
    await until(() => looping().length > 0, 'the tool');
    const pids = looping();
    if (agent !== null) await mesh.kill(agent);
    await until(() => pids.every((pid) => !isRunning(pid)), 'the tool to be gone');
    agent = await mesh.start();
    await mesh.stop(RUN, null, { now: true });
    await mesh.exited(spec);
  });
});

describe.skipIf(NO_CGROUPS !== null)('on the cgroup rung', { timeout: 90_000 }, () => {
  const BURN = '$e = times + 0.5; while (times < $e) {}';
  const countedMs = (telemetry: AttemptTelemetry): number =>
    seriesOf(telemetry, 'cpu').mean * telemetry.coveredMs;

  it('the time of what nobody waited for counts too', async () => {
    agent = await mesh.start(['--rung', 'cgroup']);
    // The kernel reaps them, and hands their time on to nobody.
    const perl = `$SIG{CHLD} = "IGNORE"; for (1..4) { if (!($pid = fork)) { ${BURN} exit } waitpid $pid, 0 } sleep 1; sleep 1;`;
    const spec = attemptSpec([step('', { argv: ['perl', '-e', perl] })]);
    await mesh.startAttempt(spec);
    const telemetry = await measured(spec);
    const { steps } = (await mesh.exited(spec)).data;
    expect((steps[0]?.userMs ?? NaN) + (steps[0]?.systemMs ?? NaN)).toBeLessThan(500);
    expect(countedMs(telemetry)).toBeGreaterThan(1_900);
    expect(perturbation(telemetry, 'neighbour')).toBeUndefined();
  });

  it('the time of what was moved to another cgroup counts too', async () => {
    const away = new CgroupSubtree();
    agent = await mesh.start(['--rung', 'cgroup']);
    const perl = `for (1..4) { ${BURN} }`;
    const moved = `echo $$ >${away.dir}/cgroup.procs; perl -e '${perl}'; sleep 1.2`;
    const spec = attemptSpec([step(`sh -c '${moved.replaceAll("'", `'"'"'`)}'; true`)]);
    await mesh.startAttempt(spec);
    try {
      expect(countedMs(await measured(spec))).toBeGreaterThan(1_900);
    } finally {
      await away.dispose();
    }
  });
});

it('at rest nothing is sampled, and no tool runs', { timeout: 90_000 }, async () => {
  tools.loop(`while :; do cat rows; sleep 1; done`, {
    header: smiTable(),
    rows: `${smiRow({})}\n`,
  });
  agent = spawnAgent([...mesh.flags()], { PATH: tools.path });
  await mesh.wait('agent.started');
  expect(looping()).toEqual([]);
  const spec = attemptSpec([step('sleep 1.5')]);
  await mesh.startAttempt(spec);
  await measured(spec);
  await until(() => looping().length === 0, 'the tool to end');
  const before = (await stored(spec)).host.length;
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect((await stored(spec)).host).toHaveLength(before);
});
