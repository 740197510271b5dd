/**
 * Delegated controllers, with one that the machine's v2 hierarchy has: `hugetlb` is there even where
 * pids and memory belong to v1. The rules of the kernel are the same for all.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CGROUP_MOUNT, CgroupSubtree, cgroupOf, NO_CGROUPS } from '#test/support/cgroups.ts';
import { ProcessAgent } from '#test/support/process-agent-client.ts';
import { StepBench } from '#test/support/process-step.ts';
import { createSupervisor } from '#agent/process/supervisor.ts';
import { readRecord } from '#agent/process/record/step-record.ts';
import { until } from '#test/support/until.ts';

const CONTROLLER = 'hugetlb';
const AT_TOP = join(CGROUP_MOUNT ?? '/', 'cgroup.subtree_control');
const words = (path: string): string[] => readFileSync(path, 'utf8').trim().split(/\s+/);
const missing =
  NO_CGROUPS ??
  (words(join(CGROUP_MOUNT ?? '/', 'cgroup.controllers')).includes(CONTROLLER)
    ? null
    : `this kernel has no ${CONTROLLER} in cgroup v2`);

if (missing !== null) process.stdout.write(`skipped: delegated controllers: ${missing}\n`);

describe.skipIf(missing !== null)('a controller that is delegated', () => {
  let subtree: CgroupSubtree;
  let bench: StepBench;
  let wasGiven = false;
  let agent: ProcessAgent;

  beforeAll(async () => {
    wasGiven = words(AT_TOP).includes(CONTROLLER);
    if (!wasGiven) writeFileSync(AT_TOP, `+${CONTROLLER}`);
    bench = new StepBench(await createSupervisor({ rung: 'scan' })); // for its folders only
  });
  beforeEach(() => {
    subtree = new CgroupSubtree();
  });
  afterEach(async () => {
    await agent.kill();
    await subtree.dispose();
  });
  afterAll(() => {
    bench.dispose();
    if (!wasGiven) writeFileSync(AT_TOP, `-${CONTROLLER}`);
  });

  const begin = async (): Promise<{ own: string; controllers: string[] }> => {
    const wrapper = subtree.wrapper();
    agent = new ProcessAgent({ rung: 'cgroup', owner: 'c', controllers: [CONTROLLER], wrapper });
    expect((await agent.begun()).rung).toBe('cgroup');
    const dir = bench.dir();
    agent.ask(dir, bench.spec(['sleep', '60']));
    await agent.pids(1);
    const step = readRecord(dir)?.started?.cgroup ?? '';
    const controllers = words(join(step, 'cgroup.controllers'));
    const own = cgroupOf(agent.pid);
    agent.stop(dir);
    expect((await agent.outcomeOf(dir)).gone).toMatchObject({ proof: 'cgroup', empty: true });
    return { own, controllers };
  };

  it('is given on to steps by an agent that leaves for its own leaf, and goes back', async () => {
    const { own, controllers } = await begin();
    expect(controllers).toEqual([CONTROLLER]);
    expect(own).toMatch(/\/benchmesh\.c\/agent\.\d+\.\d+$/);
    await agent.close();
    expect(subtree.names()).toEqual([]);
    expect(words(join(subtree.dir, 'cgroup.subtree_control'))).toEqual(['']);
  });

  it('is not while others are in the same cgroup; steps have theirs all the same', async () => {
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    writeFileSync(join(subtree.dir, 'cgroup.procs'), String(other.pid));
    const { own, controllers } = await begin();
    expect(controllers).toEqual(['']);
    expect(join(CGROUP_MOUNT ?? '', own)).toBe(subtree.dir);
    await agent.close();
    expect(subtree.names()).toEqual([]);
    other.kill('SIGKILL');
    await until(() => other.signalCode, 'it to end');
  });
});
