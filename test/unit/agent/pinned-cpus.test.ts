/** What the host says of CPUs that are bound to attempts: before what is started there, and once. */
import { describe, expect, it } from 'vitest';
import { newHost, type HostEffect } from '#agent/host/host-state.ts';
import type { CpuLayout } from '#agent/cpus/cpu-policy.ts';
import { ended, key, play, start } from './host-cases.ts';

const layout: CpuLayout = { cpus: [0, 1, 2, 3].map((cpu) => ({ cpu, core: `${cpu}`, node: 0 })) };

const said = (effects: readonly HostEffect[]): string[] =>
  effects.flatMap((effect) => {
    if (effect.kind === 'pinned') return [`pinned ${effect.cpus.join()}`];
    return effect.kind === 'begin' ? [`begin ${effect.cpus.join()}`] : [];
  });

describe('bound CPUs', () => {
  it('are said before the begin, together with those of others, and when they are free', () => {
    const two = { needs: { cpus: 2 } };
    const { effects } = play(
      [start('a', 1, two), start('b', 2, two), { kind: 'freed', key: key('a') }, ended('b')],
      newHost(4, 4, layout),
    );
    expect(said(effects)).toEqual([
      'pinned 0,1',
      'begin 0,1',
      'pinned 0,1,2,3',
      'begin 2,3',
      'pinned 2,3',
      'pinned ',
    ]);
  });

  it('stay so while survivors hold them', () => {
    const { effects } = play(
      [start('a', 1, { needs: { cpus: 1 } }), ended('a', [7])],
      newHost(4, 4, layout),
    );
    expect(said(effects)).toEqual(['pinned 0', 'begin 0']);
  });

  it.each([
    ['nothing is bound', layout, { cpus: 2, pin: false }],
    ['none are asked for', layout, { cpus: 0 }],
    ['nothing can be bound', null, { cpus: 2 }],
  ])('are not spoken of where %s', (_name, with_, needs) => {
    const { effects } = play([start('a', 1, { needs }), ended('a')], newHost(4, 4, with_));
    expect(said(effects)).toEqual(['begin ']);
  });
});
