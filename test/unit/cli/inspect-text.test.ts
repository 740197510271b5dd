/** `inspect` in words. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { inspectLines, inTreeOrder } from '#cli/output/inspect-text.ts';
import { styleFor } from '#cli/output/style.ts';
import { widthOf } from '#cli/output/text.ts';
import type { InspectedProcess, InspectReply } from '#protocol/messages/agent/agent-api.ts';

const row = (pid: number, parent: number, command = `c${pid}`): InspectedProcess => ({
  pid,
  parent,
  step: 'run',
  state: 'S',
  threads: 1,
  cpuSeconds: 2.5,
  cpuPercent: 12.5,
  rssBytes: 2_048,
  elapsedMs: 5_000,
  command,
});

const REPLY: InspectReply = {
  agent: 'local-1',
  run: '2026-02-13_14-30-45-k3f9',
  task: 'd2xq',
  n: 2,
  time: '2026-02-13T14:30:50.000Z',
  state: 'run',
  step: 'run',
  elapsedMs: 5_000,
  phase: 'measure',
  progress: 0.429,
  waitsFor: null,
  stopping: false,
  slots: [0],
  cpus: [2, 3],
  steps: [{ id: 'run', rung: 'subreaper', pid: 10, meshrun: 9, cgroup: null, logBytes: 100 }],
  processes: [row(10, 9, 'sh -c x'), row(12, 10), row(14, 12), row(11, 9)],
  isCut: false,
  gpus: [],
  gpuReason: null,
  logBytes: 1_124,
  checkpoint: { number: 3, files: 1, bytes: 5 },
  resumedWith: null,
};
const plain = { style: styleFor(false), width: null };

it('shows the processes as a tree', () => {
  const lines = inspectLines(REPLY, plain);
  expect(lines.slice(0, 4)).toEqual([
    'attempt 2026-02-13_14-30-45-k3f9/d2xq/2 on local-1: run',
    '  step run, measure 42%, 5.0 s, log 1.1 KiB, slot 0, cpus 2,3',
    '  run: pid 10, held by meshrun 9, rung subreaper, log 100 B',
    '  checkpoint 3: 1 file (5 B)',
  ]);
  expect(lines.slice(5).map((line) => line.replace(/^.* 5\.0 s {2}/, ''))).toEqual([
    'sh -c x',
    '└ c12',
    '· └ c14',
    'c11',
  ]);
});

it('says what is on the GPUs, and who does not belong there', () => {
  const sample = {
    index: 0,
    id: 'GPU-1',
    utilisationPercent: 97,
    memoryUtilisationPercent: 40,
    memoryUsedMiB: 1_000,
    powerW: 300.5,
    temperatureC: 70,
    smMHz: 1,
    memoryMHz: 1,
    clockReasons: [],
    foreign: [],
  };
  const users = [
    { pid: 12, name: '/usr/bin/python', memoryMiB: 900, own: true },
    { pid: 77, name: 'miner', memoryMiB: null, own: false },
  ];
  const gpu = { id: 'GPU-1', index: 0, name: 'H100', memoryMiB: 80_000, sample, users };
  const silent = { ...gpu, index: 1, sample: null, users: null };
  const lines = inspectLines({ ...REPLY, gpus: [gpu, silent], gpuReason: 'it hangs' }, plain);
  expect(lines.slice(-3)).toEqual([
    expect.stringContaining(
      '97%  1000 MiB  80000 MiB  300.50 W  70 C  python 12 900 MiB, miner 77 (not of this attempt)',
    ),
    expect.stringMatching(/^1 .* \?$/),
    '  GPUs: it hangs',
  ]);
});

it('fits the terminal, whatever the commands are', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 60, max: 200 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.string()), { maxLength: 30 }),
      (width, rows) => {
        const processes = rows.map(([parent, command], at) => row(at + 1, parent, command));
        const lines = inspectLines({ ...REPLY, processes }, { ...plain, width });
        for (const line of lines.slice(1)) expect(widthOf(line)).toBeLessThanOrEqual(width);
      },
    ),
  );
});

it('has every process once, unless its parents lead in a circle', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 40 }), (parents) => {
      // A parent is older than its child, as long as pids are not given again.
      const rows = parents.map((parent, at) => row(at + 1, Math.min(parent, at)));
      const pids = inTreeOrder(rows).map(({ pid }) => pid);
      expect(pids.toSorted((a, b) => a - b)).toEqual(rows.map(({ pid }) => pid));
    }),
  );
});
