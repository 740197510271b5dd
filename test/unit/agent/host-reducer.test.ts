import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { updateHost } from '#agent/host/host-reducer.ts';
import { newHost, type HostMessage } from '#agent/host/host-state.ts';
import { ended, key, NOW, play, RUN, short, start, stop } from './host-cases.ts';

describe('what starts', () => {
  test('priority, then arrival; a freed slot is given on in the same turn', () => {
    const { effects } = play([
      start('a', 1),
      start('b', 2),
      start('c', 3),
      start('d', 4, { priority: 1 }),
      { kind: 'freed', key: key('a') },
      { kind: 'freed', key: key('b') },
    ]);
    expect(short(effects).filter((each) => each.startsWith('begin'))).toEqual([
      'begin a',
      'begin b',
      'begin d',
      'begin c',
    ]);
  });

  test('arrival is by era before the sequence', () => {
    const { effects } = play([
      start('x', 8, { needs: { slots: 2 } }),
      start('b', 2, { era: 1, needs: { slots: 2 } }),
      start('a', 9, { needs: { slots: 2 } }),
      { kind: 'freed', key: key('x') },
    ]);
    expect(short(effects).at(-1)).toBe('begin a');
  });

  test('an exclusive one is alone, and is not starved by small ones', () => {
    const { state, effects } = play([
      start('a', 1),
      start('x', 2, { needs: { exclusive: true } }),
      start('b', 3),
    ]);
    expect(short(effects)).not.toContain('begin x');
    expect(short(effects)).not.toContain('begin b');
    const free = (task: string): HostMessage => ({ kind: 'freed', key: key(task) });
    const alone = play([free('a')], state);
    expect(short(alone.effects)).toEqual(['begin x']);
    expect(short(play([free('x')], alone.state).effects)).toEqual(['begin b']);
  });

  test('what can never fit is refused, not queued', () => {
    expect(
      short(
        play([start('a', 1, { needs: { slots: 3 } }), start('b', 2, { needs: { cpus: 5 } })])
          .effects,
      ),
    ).toEqual(['accept a', 'refuse a', 'accept b', 'refuse b']);
  });

  test('slots are given without overlap, and again', () => {
    const { effects, state } = play([
      start('a', 1),
      start('b', 2),
      start('c', 3),
      { kind: 'freed', key: key('b') },
    ]);
    const slots = effects.flatMap((effect) => (effect.kind === 'begin' ? [effect.slots] : []));
    expect(slots).toEqual([[0], [1], [1]]);
    expect(state.live.get(key('b'))?.stage).toBe('ending');
  });

  test('a drain is taken back, unless the process is to end', () => {
    const drain = { kind: 'drain', reason: 'x' } as const;
    const undrain = { kind: 'undrain', reason: 'y' } as const;
    const ending = { ...drain, isEnding: true } as const;
    const kinds = (...messages: readonly HostMessage[]): string[] => short(play(messages).effects);
    expect(kinds(undrain)).toEqual([]);
    expect(kinds(drain, undrain, undrain, start('a', 1))).toEqual([
      'say_draining',
      'say_undrained',
      'accept a',
      'begin a',
    ]);
    for (const orders of [
      [ending, undrain],
      [drain, ending, undrain],
      [ending, drain, undrain],
    ])
      expect(kinds(...orders, start('a', 1))).toEqual(['say_draining', 'accept a', 'refuse a']);
  });

  test('draining gives back what waits and what comes; a full disk refuses', () => {
    expect(short(play([{ kind: 'drain', reason: 'x' }, start('a', 1)]).effects)).toEqual([
      'say_draining',
      'accept a',
      'refuse a',
    ]);
    const { effects, state } = play([
      start('a', 1),
      start('b', 2),
      start('c', 3),
      { kind: 'drain', reason: 'x' },
      { kind: 'drain', reason: 'again' },
    ]);
    expect(short(effects).slice(5)).toEqual(['say_draining', 'refuse c']);
    expect(effects.at(-1)).toMatchObject({ class: 'drained' });
    expect([...state.live.values()].map(({ stage }) => stage)).toEqual([
      'running',
      'running',
      'ending',
    ]);
    expect(short(play([{ kind: 'disk', blocked: 'full' }, start('a', 1)]).effects)).toEqual([
      'accept a',
      'refuse a',
    ]);
  });
});

describe('stops', () => {
  test('take in what waits and what runs, and are done when all have ended', () => {
    const { effects, state } = play([start('a', 1), start('b', 2), start('c', 3), stop('s', 4)]);
    expect(short(effects).slice(5)).toEqual([
      'stop_attempt a',
      'stop_attempt b',
      'stop_attempt c',
      'say_received_soon s',
    ]);
    const { effects: later } = play([ended('c'), ended('a'), ended('b')], state);
    expect(short(later)).toEqual(['stop_done s']);
    expect(later[0]).toMatchObject({
      attempts: [{ task: 'c' }, { task: 'a' }, { task: 'b' }],
      isReceiptSaid: false,
    });
  });

  test('that are not done within a moment are said to have been received, once', () => {
    const { state } = play([start('a', 1), start('b', 2), stop('s', 3), ended('b')]);
    const soon = { kind: 'say_received', command: 's' } as const;
    const { effects } = play([soon, soon, ended('a'), soon], state);
    expect(short(effects)).toEqual(['stop_received s', 'stop_done s']);
    expect(effects).toMatchObject([{ run: RUN, attempts: 2 }, { isReceiptSaid: true }]);
  });

  test('of one task, of nothing', () => {
    expect(short(play([start('a', 1), start('b', 2), stop('s', 3, 'b')]).effects)).toContain(
      'stop_attempt b',
    );
    expect(short(play([stop('s', 3, 'b')]).effects)).toEqual(['stop_done s']);
  });

  test.each([
    ['before the stop was read', 0, ['accept a', 'stop_attempt a']],
    ['knowing an older stop', 4, ['accept a', 'stop_attempt a']],
    ['knowing this stop', 5, ['accept a', 'begin a']],
  ])('a start made %s', (_name, afterStop, expected) => {
    const { state } = play([stop('s', 5)]);
    expect(short(play([start('a', 9, { afterStop })], state).effects)).toEqual(expected);
  });

  const OBEYED = ['accept a', 'stop_attempt a'];
  const BEGUN = ['accept a', 'begin a'];
  test.each<[string, HostMessage[], number, string[]]>([
    ['that the server lost is obeyed', [stop('s', 90)], 0, OBEYED],
    ['that the server lost lets through who knew it', [stop('s', 90)], 90, BEGUN],
    ['made after that takes its place', [stop('s', 90), stop('t', 3, null, 1)], 3, BEGUN],
    ['made after that is not known by the lost number', [stop('t', 3, null, 1)], 90, OBEYED],
    ['of its task, newer than one of its run', [stop('s', 90), stop('t', 3, 'a', 1)], 3, BEGUN],
    ['of its task, not known', [stop('s', 90), stop('t', 3, 'a', 1)], 2, OBEYED],
    ['of another task', [stop('t', 3, 'b', 1)], 0, BEGUN],
  ])('a start of a stream that was made anew: a stop %s', (_name, stops, afterStop, expected) => {
    const { state } = play(stops);
    expect(short(play([start('a', 5, { afterStop, era: 1 })], state).effects)).toEqual(expected);
  });

  test('with a low number in a stream that was made anew reaches what a higher one let through', () => {
    const { state } = play([stop('s', 90), start('a', 95, { afterStop: 90 })]);
    expect(short(play([stop('t', 3, null, 1)], state).effects)).toContain('stop_attempt a');
  });

  test('a resumed attempt is not taken by an older stop that comes again', () => {
    const { state } = play([stop('s', 5), start('a', 9, { afterStop: 5 })]);
    const restored = {
      live: [...state.live.values()],
      floors: state.floors,
      openStops: [
        {
          command: 's',
          era: 0,
          sequence: 5,
          stop: { run: RUN, task: null, graceMs: null, now: false, by: 'x', reason: null },
          ended: [],
        },
      ],
      isDraining: false,
      setups: new Map<string, string>(),
    };
    expect(short(play([{ kind: 'restore', restored }]).effects)).toEqual([
      'stop_received s',
      'stop_done s',
    ]);
  });
});

test('revokes: queued, running, ended, never seen', () => {
  const revoke = (task: string, isKnown: boolean): HostMessage => ({
    kind: 'revoke',
    command: task,
    ref: { run: RUN, task, n: 1 },
    isKnown,
  });
  const { effects, state } = play([
    start('a', 1),
    start('b', 2),
    start('c', 3),
    revoke('c', true),
    revoke('a', true),
    revoke('gone', true),
    revoke('never', false),
  ]);
  const answers = effects.flatMap((effect) =>
    effect.kind === 'revoke_answered' ? [effect.answer] : [],
  );
  expect(answers).toEqual(['revoked', 'started', 'started', 'unknown']);
  // It ends as what a draining agent gives back: nothing of it ever ran.
  expect(state.live.get(key('c'))?.stage).toBe('ending');
  expect(effects.filter(({ kind }) => kind === 'refuse')).toMatchObject([
    { key: key('c'), class: 'drained' },
  ]);
});

test('a released run is dropped when nothing of it lives, once', () => {
  const release: HostMessage = { kind: 'release', run: RUN };
  expect(short(play([start('a', 1), stop('s', 2), release]).effects)).not.toContain('drop_run');
  const { effects, state } = play([start('a', 1), stop('s', 2), release, ended('a')]);
  expect(short(effects).filter((each) => each === 'drop_run')).toHaveLength(1);
  expect([state.floors.size, state.live.size, state.openStops.size]).toEqual([0, 0, 0]);
});

describe('for any commands in any order', () => {
  const tasks = ['a', 'b', 'c', 'd', 'e'];
  const needs = fc.record({
    slots: fc.integer({ min: 1, max: 3 }),
    cpus: fc.integer({ min: 0, max: 5 }),
    exclusive: fc.boolean(),
  });
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('start' as const),
      task: fc.constantFrom(...tasks),
      needs,
      knows: fc.boolean(),
      priority: fc.integer({ min: 0, max: 2 }),
    }),
    fc.record({ kind: fc.constant('stop' as const), task: fc.constantFrom(null, ...tasks) }),
    fc.record({
      kind: fc.constantFrom('freed' as const, 'ended' as const),
      task: fc.constantFrom(...tasks),
    }),
  );

  test('claims never exceed the host; nothing overtaken by a stop begins; every stop is done once (I5, I6)', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        let state = newHost(2, 4);
        let sequence = 0;
        const newest = new Map<string | null, number>();
        const knows = new Map<string, number>();
        const done = new Map<string, number>();
        const awaited = new Map<string, Set<string>>();
        const must: string[] = [];
        const tell = (message: HostMessage): void => {
          const [next, effects] = updateHost(state, message, NOW);
          state = next;
          for (const effect of effects) {
            if (effect.kind === 'begin') {
              const task = effect.key.slice(RUN.length + 1, -2);
              const floor = Math.max(newest.get(null) ?? 0, newest.get(task) ?? 0);
              expect(knows.get(task) ?? 0).toBeGreaterThanOrEqual(floor);
            }
            if (effect.kind === 'stop_attempt' || effect.kind === 'refuse') must.push(effect.key);
            if (effect.kind === 'stop_done') {
              done.set(effect.command, (done.get(effect.command) ?? 0) + 1);
              expect(awaited.get(effect.command)?.size ?? 0).toBe(0);
            }
          }
          const running = [...state.live.values()].filter(({ stage }) => stage === 'running');
          const slots = running.flatMap((attempt) => attempt.slots);
          expect(new Set(slots).size).toBe(slots.length);
          expect(slots.every((slot) => slot >= 0 && slot < 2)).toBe(true);
          for (const attempt of running) expect(attempt.slots).toHaveLength(attempt.needs.slots);
          expect(running.reduce((sum, attempt) => sum + attempt.needs.cpus, 0)).toBeLessThanOrEqual(
            4,
          );
          if (running.some((attempt) => attempt.needs.exclusive)) expect(running).toHaveLength(1);
        };
        const end = (task: string): void => {
          for (const waiting of awaited.values()) waiting.delete(key(task));
          tell(ended(task));
        };
        for (const each of steps) {
          sequence += 1;
          if (each.kind === 'start') {
            if (state.live.has(key(each.task))) continue;
            const floor = Math.max(newest.get(null) ?? 0, newest.get(each.task) ?? 0);
            const afterStop = each.knows ? floor : 0;
            knows.set(each.task, afterStop);
            tell(
              start(each.task, sequence, { needs: each.needs, afterStop, priority: each.priority }),
            );
          } else if (each.kind === 'stop') {
            newest.set(each.task, sequence);
            const under = [...state.live.keys()].filter(
              (live) => each.task === null || live === key(each.task),
            );
            awaited.set(`s${sequence}`, new Set(under));
            tell(stop(`s${sequence}`, sequence, each.task));
          } else if (each.kind === 'freed') {
            tell({ kind: 'freed', key: key(each.task) });
          } else if (
            state.live.has(key(each.task)) &&
            state.live.get(key(each.task))?.stage !== 'queued'
          ) {
            end(each.task);
          }
        }
        for (const live of [...must, ...state.live.keys()]) end(live.slice(RUN.length + 1, -2));
        for (const command of awaited.keys()) expect(done.get(command)).toBe(1);
      }),
      { numRuns: 150 },
    );
  });
});
