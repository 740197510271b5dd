/** A step by the cgroup of its own: what that says, and when it says too little. */
import { beforeEach, describe, expect, it } from 'vitest';
import { readCgroupUse } from '#agent/telemetry/cgroup-use.ts';
import { locateRoot, MeasuredStep } from '#agent/telemetry/measured-step.ts';
import type { TreeRoot, TreeUse } from '#agent/telemetry/process-tree.ts';
import { FakeProc } from '#test/support/fake-proc.ts';

const NAME = 'step.100.50';
const DIR = `/cg/benchmesh.x/${NAME}`;
const PATH = `/benchmesh.x/${NAME}`;
const ROOT: TreeRoot = { pid: 100, startTime: 50, isHelper: true };

let proc: FakeProc;

beforeEach(() => {
  proc = new FakeProc();
  proc.processes.set(100, { parent: 1, ownTicks: 3, reapedTicks: 900, rssPages: 10 });
  proc.processes.set(101, {
    parent: 100,
    ownTicks: 50,
    rssPages: 1_000,
    sharedPages: 400,
    read: 4_096,
    cgroup: PATH,
  });
  tell(1_234_567, [101]);
});

function tell(usec: number, pids: readonly number[], dir = DIR): void {
  if (dir === DIR) proc.files.set(`${dir}/cpu.stat`, `usage_usec ${usec}\nuser_usec 1\n`);
  proc.files.set(`${dir}/cgroup.procs`, pids.map((pid) => `${pid}\n`).join(''));
}

const use = (isCharged = false): TreeUse | 'elsewhere' | null =>
  readCgroupUse(proc, ROOT, { dir: DIR, isCharged });

const pidsOf = (seen: ReturnType<typeof use>): unknown =>
  seen === null || seen === 'elsewhere' ? seen : [...seen.pids];

describe('the cgroup of a step', () => {
  it('says its CPU time to the microsecond; the rest is of the living', () => {
    expect(use()).toEqual({
      cpuMs: 1_234.567,
      chargedBytes: null,
      rssBytes: 4_096_000,
      privateBytes: 600 * 4_096,
      io: new Map([[101, { read: 4_096, written: 0 }]]),
      pids: new Set([101]),
      helperMs: 30,
      helperRssBytes: 40_960,
      isCut: false,
      isCpuCut: false,
    });
  });

  it('says what the kernel charges to it where a controller is', () => {
    proc.files.set(`${DIR}/memory.current`, '8388608\n');
    expect(use(true)).toMatchObject({ chargedBytes: 8_388_608 });
  });

  it('lists more than are looked at: of CPU time nothing is missing', () => {
    const many = Array.from({ length: 2_000 }, (_, at) => 1_000 + at);
    tell(5_000_000, [101, ...many]);
    const seen = use();
    expect(seen).toMatchObject({ cpuMs: 5_000, isCut: true, isCpuCut: false });
    expect(seen === null || seen === 'elsewhere' ? 0 : seen.pids.size).toBe(2_001);
  });

  it.each<[string, string | undefined, unknown]>([
    ['was made since', PATH, [101]],
    ['is in a cgroup below', `${PATH}/own/deep`, [101, 102, 103]],
    ['has left', '/system.slice/run-1.scope', 'elsewhere'],
  ])('has a child that %s', (_how, cgroup, expected) => {
    proc.processes.set(102, { parent: 101, ...(cgroup === undefined ? {} : { cgroup }) });
    tell(0, [102], `${DIR}/own`);
    tell(0, [103], `${DIR}/own/deep`);
    expect(pidsOf(use())).toEqual(expected);
  });

  it('has lost one that has left it and is a child of the helper now', () => {
    proc.processes.set(102, { parent: 100, cgroup: '/elsewhere' });
    expect(use()).toBe('elsewhere');
  });

  it('is no more where its helper is gone, and says nothing where it cannot be read', () => {
    proc.files.delete(`${DIR}/cpu.stat`);
    expect(use()).toBe('elsewhere');
    proc.processes.set(100, { parent: 1, startTime: 51 });
    expect(use()).toBeNull();
  });
});

describe('a step', () => {
  const step = (): MeasuredStep =>
    new MeasuredStep(proc, () => ({ ...ROOT, cgroup: { dir: DIR, isCharged: false } }), '/s');

  it('is measured by its cgroup, and by a walk for good once one has left it', () => {
    const measured = step();
    expect(measured.look()?.cpuMs).toBe(1_234.567);
    const main = proc.processes.get(101);
    if (main === undefined) throw new Error('no main');
    main.cgroup = '/elsewhere';
    tell(1_300_000, []);
    // 9 s of what was reaped, half a second of what lives: the cgroup said less.
    expect(measured.look()?.cpuMs).toBeCloseTo(9_500 - 1_234.567, 6);
    main.cgroup = PATH;
    tell(20_000_000, [101]);
    main.ownTicks = 60;
    expect(measured.look()?.cpuMs).toBeCloseTo(100, 6);
    expect(measured.cpuMs).toBe(9_600);
  });

  it('without a record has no root', () => {
    expect(locateRoot(proc, '/no/such/step')).toBeNull();
  });
});
