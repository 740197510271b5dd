/**
 * I5, I8, I9 on the cgroup rung: what the step's own cgroup proves when its meshrun cannot, and that
 * nothing of it stays. What lives and which cgroups there are, the test sees for itself.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSupervisor, type Supervisor } from '#agent/process/supervisor.ts';
import { readRecord } from '#agent/process/record/step-record.ts';
import {
  CGROUP_MOUNT,
  CgroupSubtree,
  cgroupOf,
  NO_CGROUPS,
  OTHER_UID,
} from '#test/support/cgroups.ts';
import { ProcessAgent } from '#test/support/process-agent-client.ts';
import { outputOf, StepBench, type RunningStep } from '#test/support/process-step.ts';
import { isRunning, processesMarked } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const TREE = resolve('test/fixtures/process-tree.pl');

if (NO_CGROUPS !== null) process.stdout.write(`skipped: cgroups of steps: ${NO_CGROUPS}\n`);

describe.skipIf(NO_CGROUPS !== null)('a step in a cgroup of its own', () => {
  let subtree: CgroupSubtree;
  let bench: StepBench;
  let mark = '';
  let count = 0;
  const warnings: string[] = [];
  const others: ChildProcess[] = [];

  const supervise = (owner = 'one'): Promise<Supervisor> =>
    createSupervisor({
      rung: 'cgroup',
      owner,
      cgroupHome: subtree.home,
      log: (level, message) => {
        if (level === 'warn') warnings.push(message);
      },
    });
  const steps = (): string[] => subtree.names().filter((name) => name.includes('/step.'));
  const cgroupIn = (dir: string): string => readRecord(dir)?.started?.cgroup ?? '';
  const meshrunOf = (dir: string): number => {
    const pid = readRecord(dir)?.started?.meshrun;
    if (pid === undefined) throw new Error(`no record in ${dir}`); // never kill(0)
    return pid;
  };
  const killMeshrun = async (dir: string): Promise<void> => {
    const pid = meshrunOf(dir);
    process.kill(pid, 'SIGKILL');
    await until(() => !isRunning(pid), 'meshrun to be dead');
  };
  /** A tree that a scan would not find, which stands. */
  const hidden = (dir: string): string[] => {
    return ['perl', TREE, mark, `${dir}.ready`, 'envless=3', 'plain=2'];
  };
  const stands = (dir: string): Promise<unknown> =>
    until(() => readFileSync(`${dir}.ready`), 'the tree to stand');
  const begin = async (): Promise<RunningStep> => {
    const dir = bench.dir();
    const step = bench.start(hidden(dir), { graceMs: 200 }, dir);
    await stands(dir);
    return step;
  };

  beforeEach(async () => {
    warnings.length = 0;
    mark = `bm-cgroup-${process.pid}-${(count += 1)}`;
    subtree = new CgroupSubtree();
    bench = new StepBench(await supervise());
  });
  afterEach(async () => {
    bench.dispose();
    for (const other of others.splice(0)) other.kill('SIGKILL');
    for (const pid of processesMarked(mark)) process.kill(pid, 'SIGKILL');
    await until(() => subtree.names().length === 0, 'its cgroups to be gone');
    await subtree.dispose();
  });

  it('is in it from its first moment, and both are gone together', async () => {
    const own = cgroupOf(process.pid);
    const step = bench.start(['sh', '-c', 'tail -n 1 /proc/self/cgroup']);
    const { end, gone, logBytes } = await step.ended;
    expect(end).toEqual({ kind: 'exited', code: 0 });
    expect(gone).toMatchObject({ proof: 'cgroup', empty: true, waves: 0 });
    const seen = outputOf(step.dir, logBytes).stdout.toString().trim();
    expect(join(CGROUP_MOUNT ?? '', seen.replace('0::', ''))).toBe(cgroupIn(step.dir));
    expect(steps()).toEqual([]);
    expect(cgroupOf(process.pid)).toBe(own);
  });

  it('whose meshrun is killed is lost, and proven dead by its cgroup alone', async () => {
    const step = await begin();
    expect(processesMarked(mark)).toHaveLength(6);
    await killMeshrun(step.dir);
    const { end, gone } = await step.ended;
    expect(end.kind).toBe('lost');
    expect(processesMarked(mark)).toEqual([]);
    expect(gone).toMatchObject({ proof: 'cgroup', empty: true, survivors: [] });
    expect(gone.processes).toBeGreaterThanOrEqual(5);
    expect(steps()).toEqual([]);
  });

  it('is caught when it moves out of its cgroup: it is a descendant still', async () => {
    const leave = `echo 0 > ${CGROUP_MOUNT ?? ''}/cgroup.procs; exec perl -e 'sleep 60' ${mark}`;
    const step = bench.start(['sh', '-c', `setsid sh -c "${leave}" & sleep 60`]);
    await until(() => processesMarked(mark).length === 1, 'it to have left');
    const [pid = 0] = processesMarked(mark);
    expect(cgroupOf(pid)).toBe('/');
    step.handle.stop({ now: true });
    expect((await step.ended).gone).toMatchObject({ proof: 'cgroup', empty: true });
    expect(processesMarked(mark)).toEqual([]);
  });

  it('ends with what others put into its cgroup', async () => {
    const gate = join(bench.root, 'gate');
    const step = bench.start(['sh', '-c', `until [ -e ${gate} ]; do sleep 0.02; done`]);
    await step.started;
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    others.push(other);
    writeFileSync(join(cgroupIn(step.dir), 'cgroup.procs'), String(other.pid));
    writeFileSync(gate, '');
    const { end, gone } = await step.ended;
    expect(end).toEqual({ kind: 'exited', code: 0 });
    expect(gone).toMatchObject({ proof: 'cgroup', empty: true, signal: 'SIGKILL' });
    expect(isRunning(other.pid ?? 0)).toBe(false);
  });

  it('takes the cgroups with it that it made below its own', async () => {
    const script = `
      own=${CGROUP_MOUNT ?? ''}$(tail -n 1 /proc/self/cgroup | cut -d: -f3)
      mkdir -p "$own/a/b" "$own/c"
      (echo 0 > "$own/a/b/cgroup.procs"; sleep 60) & echo ready; sleep 60`;
    const step = bench.start(['sh', '-c', script]);
    await until(() => steps().length === 4, 'its cgroups');
    step.handle.stop();
    const { gone } = await step.ended;
    expect(gone).toMatchObject({ proof: 'cgroup', empty: true, signal: 'SIGTERM' });
    expect(steps()).toEqual([]);
  });

  it.each([{ pids: 10 }, { memoryBytes: 1 << 30 }])(
    'is not started with a limit that nothing here enforces: %j',
    async (limits) => {
      const { end, gone } = await bench.run(['true'], { limits });
      expect(end).toMatchObject({ kind: 'exec_failed', reason: 'supervision' });
      expect(end.kind === 'exec_failed' && end.message).toMatch(
        /cannot be enforced here: .* does not have the cgroup controller pids, memory/,
      );
      expect(gone.empty).toBe(true);
      expect(steps()).toEqual([]);
    },
  );

  it('is done without where the kernel refuses one, and says so', async () => {
    writeFileSync(join(subtree.dir, 'cgroup.max.descendants'), '2'); // the base and its agent's
    const step = bench.start(['sleep', '60']);
    await step.started;
    step.handle.stop();
    expect((await step.ended).gone).toMatchObject({ proof: 'subreaper', empty: true });
    expect(warnings).toContain('a step could get no cgroup and is on the subreaper rung');
  });

  describe('with its agent dead', () => {
    let agent: ProcessAgent;
    let dir: string;
    beforeEach(async () => {
      dir = bench.dir();
      agent = new ProcessAgent({ rung: 'cgroup', owner: 'two', cgroupHome: subtree.home });
      agent.ask(dir, bench.spec(hidden(dir), { graceMs: 200 }));
      await stands(dir);
      await agent.kill();
    });
    /** As an agent that comes back would. */
    const returns = async (owner: string): Promise<StepBench> => {
      bench.dispose();
      return (bench = new StepBench(await supervise(owner)));
    };

    it('goes on, and is stopped and proven by the next', async () => {
      const next = new StepBench(await supervise('two'));
      const found = await next.adopt(dir);
      expect(found.kind).toBe('alive');
      expect(processesMarked(mark)).toHaveLength(6);
      found.step?.handle.stop();
      expect((await found.step?.ended)?.gone).toMatchObject({ proof: 'cgroup', empty: true });
      expect(processesMarked(mark)).toEqual([]);
      next.dispose();
    });

    it('and its meshrun too, is ended as the next agent starts', async () => {
      await killMeshrun(dir);
      rmSync(dir, { recursive: true });
      expect(processesMarked(mark).length).toBeGreaterThan(3);
      await returns('two');
      expect(processesMarked(mark)).toEqual([]);
      expect(steps()).toEqual([]);
      expect(warnings).toContain('a step without its meshrun was ended');
    });

    it('and its meshrun too, is proven dead when it is asked for', async () => {
      await killMeshrun(dir);
      const next = new StepBench(await supervise('two'));
      expect(await next.adopt(dir)).toMatchObject({
        kind: 'ended',
        outcome: { end: { kind: 'lost' }, gone: { proof: 'cgroup', empty: true, survivors: [] } },
      });
      expect(processesMarked(mark)).toEqual([]);
      next.dispose();
    });

    it('is left alone by agents of other state folders', async () => {
      await killMeshrun(dir);
      const stranger = await supervise('three');
      expect(processesMarked(mark).length).toBeGreaterThan(3);
      expect(steps()).toHaveLength(1);
      stranger.close();
      // Its own record leads to it, whoever reads that.
      expect(await bench.adopt(dir)).toMatchObject({ outcome: { gone: { proof: 'cgroup' } } });
      expect(steps()).toEqual([]);
      (await supervise('three')).close(); // now that it is empty, what is left of it goes
    });
  });

  it('leaves the base while it goes on, and the next agent takes that away', async () => {
    const step = await begin();
    bench.supervisor.close();
    await until(() => steps().length === 1, 'its cgroup');
    expect(processesMarked(mark)).toHaveLength(6);
    expect(subtree.names().length).toBeGreaterThan(2);
    const next = new StepBench(await supervise());
    const found = await next.adopt(step.dir);
    found.step?.handle.stop({ now: true });
    await found.step?.ended;
    next.dispose();
    await until(() => subtree.names().length === 0, 'the base to be gone');
  });
});

describe('where steps can have no cgroups', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bm-no-cgroup-'));
  const home = { dir: folder, ownDir: folder, unit: null, isTop: false };

  it('the subreaper rung is taken, with the reason', async () => {
    const supervisor = await createSupervisor({ cgroupHome: home });
    expect(supervisor.rung).toBe('subreaper');
    expect(supervisor.degraded).toMatch(/step's cgroup .* does not work: make: ENOENT/);
    supervisor.close();
    await expect(createSupervisor({ rung: 'cgroup', cgroupHome: home })).rejects.toThrow(
      /the cgroup rung cannot run here: .*does not work/,
    );
    rmSync(folder, { recursive: true });
  });

  it.skipIf(NO_CGROUPS !== null)('another user is told that it is not its own', async () => {
    const subtree = new CgroupSubtree();
    const wrapper = subtree.wrapper(OTHER_UID);
    const agent = new ProcessAgent({ rung: 'auto', wrapper });
    const { rung, degraded } = await agent.begun();
    expect(rung).toBe('subreaper');
    expect(degraded).toBe(`cgroup ${subtree.dir} is not delegated to this user`);
    await agent.close();
    await subtree.dispose();
  });
});
