/**
 * I5: steps whose own processes work against their supervision: they remove the folder it records
 * in, kill or stop its helper. What cannot be proven any more is never said to be.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readProcess } from '#agent/process/scan/proc-table.ts';
import { createSupervisor } from '#agent/process/supervisor.ts';
import { NO_CGROUPS } from '#test/support/cgroups.ts';
import { ProcessAgent } from '#test/support/process-agent-client.ts';
import { outputOf, StepBench } from '#test/support/process-step.ts';
import { isRunning, processesMarked } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

describe('a step that removes its own folder', () => {
  let bench: StepBench;
  let mark: string;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
  });
  afterEach(() => {
    expect(processesMarked(mark)).toEqual([]);
  });
  afterAll(() => {
    bench.dispose();
  });

  const gateOf = (dir: string): string => `${dir}.go`;
  /** Ignores TERM, has a child in a session of its own, removes the folder, then does `more`. */
  const removing = (dir: string, more = ''): string[] => {
    mark = randomUUID();
    const child = `setsid sh -c 'trap "" TERM; while :; do sleep 0.05; done' ${mark} &`;
    // Not before it is followed: the next test does without.
    const gate = `until [ -e "${gateOf(dir)}" ]; do sleep 0.02; done`;
    return ['sh', '-c', `trap "" TERM; ${gate}; ${child} rm -rf "${dir}"; ${more}\nwait`, mark];
  };

  it('is stopped and proven dead all the same', async () => {
    const dir = bench.dir();
    const step = bench.start(removing(dir), { graceMs: 100 }, dir);
    await step.started;
    writeFileSync(gateOf(dir), '');
    await until(
      () => !existsSync(dir) && processesMarked(mark).length > 0,
      'the folder to be gone',
    );
    step.handle.stop();
    expect(await step.ended).toMatchObject({
      end: { kind: 'signaled', signal: 'SIGKILL' },
      gone: { proof: 'subreaper', empty: true, survivors: [] },
    });
  });

  it('and kills meshrun is lost and unproven, with nothing that a scan finds left', async () => {
    const dir = bench.dir();
    writeFileSync(gateOf(dir), '');
    const outcome = await bench.start(removing(dir, 'kill -9 $PPID'), {}, dir).ended;
    expect(outcome).toMatchObject({ end: { kind: 'lost' }, gone: { proof: 'scan', empty: false } });
    await until(() => processesMarked(mark).length === 0, 'its processes to be gone');
  });

  it('is lost, never "not started", to the agent that comes after', async () => {
    const agent = new ProcessAgent();
    const dir = bench.dir();
    const spec = bench.spec(removing(dir), {
      env: { PATH: process.env['PATH'] ?? '', BENCHMESH_STOP: `${dir}.stop` },
    });
    agent.ask(dir, spec);
    const [pid = 0] = await agent.pids(1);
    writeFileSync(gateOf(dir), '');
    await until(() => !existsSync(dir), 'the folder to be gone');
    await agent.kill();
    expect(isRunning(pid)).toBe(true);
    const variable = { name: 'BENCHMESH_STOP', value: `${dir}.stop` };
    for (const known of [
      { pid, variable },
      { pid: null, variable },
    ]) {
      expect(await bench.adopt(dir, known)).toMatchObject({
        kind: 'ended',
        outcome: { end: { kind: 'lost' }, gone: { proof: 'scan', empty: false, survivors: [] } },
      });
    }
    expect(isRunning(pid)).toBe(false);
  });
});

describe('a step that puts something else in the place of', () => {
  let bench: StepBench;
  beforeAll(async () => {
    bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
  });
  afterAll(() => {
    bench.dispose();
  });

  const OTHERS = ['mkfifo', 'mkdir', 'ln -s /dev/zero'] as const;

  it.each(OTHERS)('its record, by %s, is lost to the agent that comes after', async (make) => {
    const agent = new ProcessAgent();
    const dir = bench.dir();
    const stop = `${dir}.stop`;
    const swap = `rm "${dir}/record"; ${make} "${dir}/record"; echo done > "${dir}.done"`;
    const env = { PATH: process.env['PATH'] ?? '', BENCHMESH_STOP: stop };
    agent.ask(dir, bench.spec(['sh', '-c', `${swap}; exec sleep 300`], { env }));
    const [pid = 0] = await agent.pids(1);
    await until(() => existsSync(`${dir}.done`), 'its record to be another');
    await agent.kill();
    const known = { pid, variable: { name: 'BENCHMESH_STOP', value: stop } };
    expect(await bench.adopt(dir, known)).toMatchObject({
      kind: 'ended',
      outcome: { end: { kind: 'lost' }, gone: { proof: 'scan', empty: false, survivors: [] } },
    });
    expect(isRunning(pid)).toBe(false);
  });

  it.each(OTHERS)('its output, by %s, has a gap there', async (make) => {
    const dir = bench.dir();
    const swap = ['log', 'index'].map((what) => {
      const file = `"${dir}/${what}.000000"`;
      return `until [ -e ${file} ]; do sleep 0.01; done; rm ${file}; ${make} ${file}`;
    });
    const outcome = await bench.start(['sh', '-c', `echo first; ${swap.join('; ')}`], {}, dir)
      .ended;
    expect(outcome).toMatchObject({ end: { kind: 'exited', code: 0 }, logBytes: 6 });
    const { gaps, end } = outputOf(dir, outcome.logBytes);
    expect([gaps.length, end]).toEqual([1, 6]);
  });
});

it('a step that stops meshrun is stopped all the same', async () => {
  const bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
  const step = bench.start(['sh', '-c', 'kill -STOP $PPID; sleep 60']);
  await step.started;
  const meshrun = readProcess(step.handle.pid ?? 0)?.parent ?? 0;
  await until(() => readProcess(meshrun)?.state === 'T', 'meshrun to be stopped');
  step.handle.stop();
  expect(await step.ended).toMatchObject({
    end: { kind: 'signaled', signal: 'SIGTERM' },
    gone: { proof: 'subreaper', empty: true },
  });
  bench.dispose();
});

const CGROUP_PAIRS = [
  ['cgroup', 'scan'],
  ['cgroup', 'subreaper'],
  ['subreaper', 'cgroup'],
] as const;

describe.each([
  ['subreaper', 'scan'],
  ['scan', 'subreaper'],
  ...(NO_CGROUPS === null ? CGROUP_PAIRS : []),
] as const)('a step started on the %s rung', (first, second) => {
  it(`is taken up by an agent on the ${second} rung`, async () => {
    const bench = new StepBench(await createSupervisor({ rung: second }));
    const agent = new ProcessAgent({ rung: first });
    const dir = bench.dir();
    agent.ask(dir, bench.spec(['sleep', '60'], { graceMs: 1_000 }));
    const [pid = 0] = await agent.pids(1);
    await agent.kill();
    const found = await bench.adopt(dir);
    expect(found.kind).toBe('alive');
    expect(isRunning(pid)).toBe(true);
    found.step?.handle.stop();
    expect((await found.step?.ended)?.gone).toMatchObject({
      proof: first,
      empty: first !== 'scan',
      survivors: [],
    });
    expect(isRunning(pid)).toBe(false);
    bench.dispose();
  });
});
