/** Labels, GPUs, what an agent accepts: whether a host could ever run a task, and in words why not. */
import { describe, expect, it } from 'vitest';
import { blankGpu } from '#agent/discovery/gpu-facts.ts';
import {
  misfit,
  misfitText,
  nearestMisfit,
  unplaceableText,
  type HostCapacity,
} from '#protocol/messages/agent/fit.ts';
import { refusalOf } from '#protocol/messages/agent/accepts.ts';
import { countGpus } from '#protocol/messages/agent/gpu-counts.ts';
import { matchesGpu } from '#protocol/messages/agent/gpu-match.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import { readNumberRule, wrongLabel } from '#protocol/messages/agent/label-rules.ts';
import type { GpuNeeds, LabelRule, Needs } from '#protocol/messages/attempt/needs.ts';
import { matchesGlob } from '#protocol/messages/name-glob.ts';

const LABELS = { zone: 'eu', speed: '12.5', empty: '', word: 'x' };

describe('rules of labels', () => {
  it.each<[string, LabelRule, boolean]>([
    ['zone', { in: ['us', 'eu'] }, true],
    ['zone', { in: ['us'] }, false],
    ['none', { in: ['us'] }, false],
    ['zone', { not: ['us'] }, true],
    ['zone', { not: ['eu'] }, false],
    ['none', { not: ['eu'] }, true],
    ['speed', { gte: 12.5 }, true],
    ['speed', { gt: 12.5 }, false],
    ['speed', { gte: 10, lt: 12 }, false],
    ['speed', { lte: 12.5, in: ['12.5'] }, true],
    ['word', { gte: 0 }, false],
    ['empty', { lte: 0 }, false],
    ['none', { lte: 0 }, false],
    ['none', { exists: false }, true],
    ['empty', { exists: true }, true],
    ['zone', { exists: false }, false],
    ['toString', { exists: true }, false],
  ])('%s %j: %s', (label, rule, holds) => {
    expect(wrongLabel({ [label]: rule }, LABELS)).toBe(holds ? null : label);
  });
});

describe('globs of names', () => {
  it.each([
    ['*H100*', 'NVIDIA H100 80GB', true],
    ['*h100*', 'NVIDIA H100 80GB', true],
    ['H100', 'NVIDIA H100', false],
    ['gpu-?', 'gpu-1', true],
    ['gpu-?', 'gpu-10', false],
    ['*a*b*c', 'xaxbxbc', true],
    ['a.c', 'abc', false],
    ['', '', true],
    ['*', '', true],
  ])('%s %s: %s', (glob, name, matches) => {
    expect(matchesGlob(glob, name)).toBe(matches);
  });

  it('take no exponential time', () => {
    expect(matchesGlob('*a'.repeat(200), 'a'.repeat(5_000) + 'b')).toBe(false);
  });
});

const gpu = (change: Partial<Gpu>): Gpu => ({
  ...blankGpu('nvidia', change.id ?? 'x'),
  state: 'ready',
  name: 'NVIDIA H100 80GB HBM3',
  memoryMiB: 81_559,
  computeCapability: '9.0',
  ...change,
});
const MIG = { kind: 'mig', name: 'NVIDIA H100 80GB HBM3 MIG 3g.40gb', memoryMiB: 40_448 } as const;

describe('GPUs', () => {
  it.each<[Omit<GpuNeeds, 'count'>, Partial<Gpu>, boolean]>([
    [{ name: '*H100*' }, {}, true],
    [{ name: '*A100*' }, {}, false],
    [{ name: '*' }, { name: null }, true],
    [{ memoryMiB: 81_559 }, {}, true],
    [{ memoryMiB: 81_560 }, {}, false],
    [{ freeMiB: 81_560 }, {}, false],
    [{ memoryMiB: 1 }, { memoryMiB: null }, false],
    [{ computeCapability: { gte: 8 } }, {}, true],
    [{ computeCapability: { gte: 8 } }, { computeCapability: '7.5' }, false],
    [{ computeCapability: { gte: 8 } }, { computeCapability: null }, false],
    [{ mig: false }, {}, true],
    [{ mig: false }, MIG, false],
    [{ mig: true }, MIG, true],
    [{ mig: true }, {}, false],
    [{ mig: '3g.*' }, MIG, true],
    [{ mig: '1g.*' }, MIG, false],
  ])('%j on %j: %s', (wish, change, matches) => {
    expect(matchesGpu(gpu(change), { count: 1, ...wish })).toBe(matches);
  });
});

const host = (
  change: Partial<HostCapacity> = {},
): HostCapacity & { id: string; hostId: string } => {
  const gpus = change.gpus ?? [];
  const names = ['a', 'lab-1'];
  return {
    ...{
      id: 'a',
      hostId: 'ha',
      slots: 4,
      cpus: 4,
      memoryMiB: 1_024,
      labels: LABELS,
      accepts: null,
      names,
    },
    ...change,
    ...{ gpus, counts: countGpus(gpus) },
  };
};
const OFFER = { priority: 0, suite: 's', labels: {} };
const BASE: Needs = { slots: 1, cpus: 0, exclusive: false };

describe('a misfit', () => {
  it.each<[string, Partial<Needs>, string]>([
    ['slots', { slots: 5 }, 'never: 5 slots needed, it has 4'],
    ['cpus', { cpus: 5 }, 'never: 5 CPUs needed, it has 4'],
    ['memory', { memoryMiB: 2_048 }, 'never: 2 GiB of memory needed, it has 1 GiB'],
    ['gpus', { gpus: { count: 3 } }, 'never: 3 GPUs needed, it has 2 of one kind'],
    [
      'gpus of a kind',
      { gpus: { count: 2, name: '*A100*', memoryMiB: 40_960 } },
      'never: 2 GPUs *A100* with 40 GiB needed, it has 1',
    ],
    ['label', { labels: { zone: { in: ['us'] } } }, 'never: label zone us needed, it has eu'],
    ['no label', { labels: { x: { gte: 1 } } }, 'never: label x >=1 needed, it has none'],
    ['host', { host: ['gpu-*'] }, 'never: the task is for gpu-*'],
  ])('%s', (_name, change, text) => {
    const gpus = [gpu({ id: 'g1' }), gpu({ id: 'g2', name: 'NVIDIA A100' })];
    const found = misfit(host({ gpus }), { ...BASE, ...change }, OFFER);
    expect(found === null ? null : misfitText(found)).toBe(text);
  });

  it('is none where it fits, by either name', () => {
    for (const glob of ['a', 'LAB-*'])
      expect(misfit(host(), { ...BASE, host: [glob] }, OFFER)).toBeNull();
  });

  it('of who is nearest is told', () => {
    const few = host({ gpus: [gpu({})] });
    const other = { ...host({ labels: {} }), id: 'b', hostId: 'hb' };
    const needs = { ...BASE, labels: { zone: { in: ['eu'] } }, gpus: { count: 8, name: '*H100*' } };
    const nearest = nearestMisfit([other, few], needs, OFFER);
    expect(nearest).toMatchObject({ agent: 'a', reason: { kind: 'never', of: 'gpus', has: 1 } });
    expect(nearest === null ? '' : unplaceableText({ tasks: 12, ...nearest })).toBe(
      '12 tasks need 8 GPUs *H100*; the nearest agent, a, has 1',
    );
    expect(nearestMisfit([other, few], BASE, OFFER)).toBeNull();
    const label = nearestMisfit([other], needs, OFFER);
    expect(label === null ? '' : unplaceableText({ tasks: 1, ...label })).toBe(
      '1 task needs label zone eu, and no agent has that',
    );
  });

  it('is having too few hosts for what takes several at once: agents of one host are one', () => {
    const other = { ...host(), id: 'b', hostId: 'hb' };
    const needs = { ...BASE, hosts: 2 };
    expect(nearestMisfit([host(), other], needs, OFFER)).toBeNull();
    const nearest = nearestMisfit([host(), { ...other, hostId: 'ha' }], needs, OFFER);
    expect(nearest).toEqual({ reason: null, agent: null, hosts: { needs: 2, could: 1 } });
    expect(nearest === null ? '' : unplaceableText({ tasks: 4, ...nearest })).toBe(
      '4 tasks need 2 hosts at once, and only 1 that has joined could ever run them',
    );
    const big = nearestMisfit([host(), other], { ...needs, slots: 9 }, OFFER);
    expect(big).toMatchObject({ reason: { kind: 'never', of: 'slots' } });
  });
});

describe('what an agent accepts', () => {
  it.each([
    [{ priority: { gte: 10 } }, 'priority >=10'],
    [{ suites: ['llm-*', 'x'] }, 'suite llm-* or x'],
    [{ labels: { team: { in: ['ml'] } } }, 'runs with label team ml'],
  ])('%j', (accepts, text) => {
    expect(refusalOf(accepts, OFFER)).toBe(text);
    const offer = { priority: 10, suite: 'llm-serve', labels: { team: 'ml' } };
    expect(refusalOf(accepts, offer)).toBeNull();
  });

  it.each([
    ['>=10', { gte: 10 }],
    ['< 2.5', { lt: 2.5 }],
    ['7', { gte: 7, lte: 7 }],
    ['-1', { gte: -1, lte: -1 }],
    ['>', null],
    ['1e3', null],
  ])('%s', (text, rule) => {
    expect(readNumberRule(text)).toEqual(rule);
  });
});
