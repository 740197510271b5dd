/** What is fenced by survivors of a kill, and what waits behind it. */
import { describe, expect, test } from 'vitest';
import type { HostMessage } from '#agent/host/host-state.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import { ended, key, play, RUN, short, start, stop } from './host-cases.ts';

describe('survivors of a kill keep the claim of their attempt (I5)', () => {
  const freed = (task: string): HostMessage => ({ kind: 'freed', key: key(task) });
  test.each<[string, Partial<Needs>, Partial<Needs>]>([
    ['its slots', { slots: 2 }, {}],
    ['its cpus', { cpus: 3 }, { cpus: 2 }],
    ['being exclusive', { exclusive: true }, {}],
    ['what it is to an exclusive one', {}, { exclusive: true }],
  ])('%s, after the end and until freed', (_, held, wanted) => {
    const before = play([
      start('a', 1, { needs: held }),
      start('b', 2, { needs: wanted }),
      ended('a', [77]),
    ]);
    expect(short(before.effects)).toEqual(['accept a', 'begin a', 'accept b', 'behind_fence b']);
    const after = play([freed('a')], before.state);
    expect(short(after.effects)).toEqual(['begin b']);
    expect([...after.state.live.keys()]).toEqual([key('b')]);
  });

  const EXCLUSIVE = { needs: { exclusive: true } };
  test.each<[string, HostMessage[], string[]]>([
    ['an exclusive one', [start('x', 2, EXCLUSIVE)], ['behind_fence x']],
    [
      'several, each once',
      [start('x', 2, EXCLUSIVE), start('y', 3, { needs: { slots: 2 } })],
      ['behind_fence x', 'behind_fence y'],
    ],
    [
      'one that needs more cpus than are left',
      [start('x', 2, { needs: { cpus: 2 } })],
      ['behind_fence x'],
    ],
  ])('what waits for them alone holds nothing up: %s', (_name, waiting, said) => {
    const first = play([start('a', 1, { needs: { cpus: 3 } }), ended('a', [77]), ...waiting]);
    expect(
      short(first.effects)
        .slice(2)
        .filter((each) => !each.startsWith('accept')),
    ).toEqual(said);
    const beside = play([start('b', 8), start('c', 9)], first.state);
    expect(short(beside.effects)).toEqual(['accept b', 'begin b', 'accept c']);
    const next = play([ended('b')], beside.state);
    expect(short(next.effects)).toEqual(['begin c']);
  });

  test('and has its place again when they are gone', () => {
    const { state } = play([
      start('a', 1),
      ended('a', [77]),
      start('x', 2, EXCLUSIVE),
      start('b', 3),
      start('c', 4),
      freed('a'),
    ]);
    expect(short(play([ended('b')], state).effects)).toEqual(['begin x']);
  });

  test('an exclusive one that survives keeps all away', () => {
    const { effects } = play([start('a', 1, EXCLUSIVE), ended('a', [77]), start('b', 2)]);
    expect(short(effects).slice(2)).toEqual(['accept b', 'behind_fence b']);
  });

  test('gone before the end: nothing is kept', () => {
    const { state } = play([start('a', 1), freed('a'), ended('a', [77])]);
    expect(state.live.size).toBe(0);
  });

  test('a stop names them at once, an earlier one too; the run is dropped when they are gone', () => {
    const first = play([start('a', 1), stop('s1', 2), ended('a', [77]), stop('s2', 3)]);
    const done = first.effects.flatMap((effect) =>
      effect.kind === 'stop_done' ? [effect.attempts.map(({ survivors }) => survivors)] : [],
    );
    expect(done).toEqual([[[77]], [[77]]]);
    expect(short(first.effects).filter((each) => each.startsWith('stop_attempt'))).toHaveLength(1);
    const released = play([{ kind: 'release', run: RUN }], first.state);
    expect(short(released.effects)).toEqual([]);
    expect(short(play([freed('a')], released.state).effects)).toEqual(['drop_run']);
  });
});
