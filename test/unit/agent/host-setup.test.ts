/** What prepares a host: made by one attempt, waited for by the others, tried again where it failed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newHost, type HostMessage, type HostState } from '#agent/host/host-state.ts';
import { LedgerFold } from '#agent/state/ledger-entries.ts';
import { restoredHost } from '#agent/host/restore.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { EXITED, Script, specOf, stepOf } from './attempt-cases.ts';
import { ended, key, play, RUN, short, start } from './host-cases.ts';

const setupStep = (id = 'k') =>
  stepOf('setup', { id: 'host-setup', timeoutMs: 50_000, hostSetup: { id } });

function needing(task: string, sequence: number, id = 'k'): HostMessage {
  const message = start(task, sequence);
  if (message.kind !== 'start') throw new Error('no start');
  const { spec } = message;
  return { ...message, spec: { ...spec, steps: [setupStep(id), ...spec.steps] } };
}

const made = (task: string): HostMessage => ({ kind: 'set_up', key: key(task), failure: null });
const FAILURE = {
  outcome: 'timed_out',
  stage: 'setup',
  class: 'timeout',
  reason: 'too slow',
} as const;
const failed = (task: string): HostMessage => ({
  kind: 'set_up',
  key: key(task),
  failure: FAILURE,
});

/** `begin a*`: it makes the setup. */
function told(messages: readonly HostMessage[], initial?: HostState): string[] {
  const { effects } = play(messages, initial);
  const text = short(effects);
  return effects.flatMap((effect, i) =>
    effect.kind === 'accept' ? [] : [`${text[i] ?? ''}${isMaker(effect) ? '*' : ''}`],
  );
}

const isMaker = (effect: object): boolean => 'makesSetup' in effect && effect.makesSetup === true;

describe('on the host', () => {
  test('the first makes it, the others wait and say for whom, and hold up nobody', () => {
    const messages = [needing('a', 1), needing('b', 2), start('free', 3), needing('c', 4)];
    const { state, effects } = play(messages, newHost(3, 4));
    expect(told(messages, newHost(3, 4))).toEqual([
      'begin a*',
      'behind_fence b',
      'begin free',
      'behind_fence c',
    ]);
    expect(effects).toContainEqual({
      kind: 'behind_fence',
      key: key('b'),
      reason: 'its host is being prepared by a#1',
    });
    expect(told([made('a')], state)).toEqual(['begin b']);
    const after = play([made('a'), ended('a'), ended('free')], state).state;
    expect(told([needing('later', 9)], after)).toEqual(['begin later']);
  });

  test('each key by itself', () => {
    const messages = [needing('a', 1, 'x'), needing('b', 2, 'y'), needing('c', 3, 'x')];
    expect(told(messages, newHost(3, 4))).toEqual(['begin a*', 'begin b*', 'behind_fence c']);
  });

  test('a failure fails those that wait, with their maker named, and is not kept', () => {
    const { state } = play([needing('a', 1), needing('b', 2), needing('other', 3, 'y')]);
    const { state: after, effects } = play([failed('a')], state);
    expect(effects).toEqual([
      {
        kind: 'refuse',
        key: key('b'),
        class: 'timeout',
        outcome: 'timed_out',
        stage: 'setup',
        reason: 'the host could not be prepared by a#1: too slow',
      },
    ]);
    const freed = play([ended('a'), ended('b')], after).state;
    expect(told([needing('c', 9)], freed)).toEqual(['begin c*']);
  });

  test('its maker is stopped: the next of those that wait makes it', () => {
    const { state } = play([needing('a', 1), needing('b', 2), needing('c', 3)]);
    expect(told([ended('a')], state)).toEqual(['begin b*', 'behind_fence c']);
  });

  test('it goes with its run', () => {
    const messages = [needing('a', 1), made('a'), ended('a')];
    const { state } = play([...messages, { kind: 'release', run: RUN }]);
    expect(state.setups.size).toBe(0);
  });

  test('never two makers of one, never an attempt before its setup, nobody left behind', () => {
    const step = fc.tuple(
      fc.constantFrom('start', 'made', 'failed', 'ended'),
      fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      fc.constantFrom('x', 'y'),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        let state = newHost(2, 4);
        let sequence = 0;
        const makers = new Map<string, string>();
        for (const [what, task, id] of steps) {
          sequence += 1;
          const isLive = state.live.has(key(task));
          if ((what === 'start') === isLive) continue;
          const setup = state.live.get(key(task))?.setup ?? `${RUN}/${id}`;
          const isMaking = makers.get(setup) === key(task);
          if ((what === 'made' || what === 'failed') && !isMaking) continue;
          const message =
            what === 'start'
              ? needing(task, sequence, id)
              : what === 'made'
                ? made(task)
                : what === 'failed'
                  ? failed(task)
                  : ended(task);
          if (what !== 'start' && isMaking && makers.get(setup) === key(task)) {
            if (what === 'made') makers.set(setup, 'done');
            else makers.delete(setup);
          }
          const played = play([message], state);
          state = played.state;
          for (const effect of played.effects) {
            if (effect.kind !== 'begin') continue;
            const own = state.live.get(effect.key)?.setup ?? '';
            if (effect.makesSetup) {
              expect(makers.has(own)).toBe(false);
              makers.set(own, effect.key);
            } else expect(makers.get(own)).toBe('done');
          }
        }
        const waiting = [...state.live.values()].filter(({ stage }) => stage === 'queued');
        const running = [...state.live.values()].filter(({ stage }) => stage === 'running');
        if (waiting.length > 0) expect(running.length).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });
});

const spec = (change: Partial<AttemptSpec> = {}): AttemptSpec => {
  const plain = specOf(['preflight', 'run', 'teardown'], change);
  return { ...plain, steps: [setupStep(), ...plain.steps] };
};

describe('in the attempt', () => {
  const begin = (script: Script, makesSetup: boolean) =>
    script.say({ kind: 'begin', slots: [0], makesSetup });

  test('only its maker runs it, and neither its time nor its end is the own of the attempt', () => {
    const other = new Script(spec());
    begin(other, false);
    expect(other.started()).toEqual(['preflight']);
    const script = new Script(spec({ budgetMs: 1_000 }));
    begin(script, true);
    expect(script.effects.at(-1)).toMatchObject({ budgetMs: 50_000 });
    const effects = script.end(EXITED(0), {}, 30_000);
    expect(effects).toContainEqual({ kind: 'set_up', failure: null });
    expect(effects.at(-1)).toMatchObject({ kind: 'start_step', budgetMs: 1_000 });
    script.end(EXITED(1));
    expect(script.started(), 'no teardown: nothing of its own was set up').toEqual([
      'setup',
      'preflight',
    ]);
    expect(script.state.verdict).toMatchObject({ class: 'preflight' });
  });

  test('a failure is its own at stage setup, and told', () => {
    const script = new Script(spec());
    begin(script, true);
    const effects = script.end(EXITED(3));
    const verdict = { outcome: 'failed', stage: 'setup', class: 'exit' };
    expect(script.state.verdict).toMatchObject({
      ...verdict,
      reason: 'host-setup: exit status 3',
    });
    expect(effects.find(({ kind }) => kind === 'set_up')).toMatchObject({ failure: verdict });
    expect(script.started()).toEqual(['setup']);
  });

  test('one that is stopped says nothing: another may make it', () => {
    const script = new Script(spec());
    begin(script, true);
    script.stop();
    const effects = script.end({ kind: 'signaled', signal: 'SIGTERM', core: false });
    expect(effects.filter(({ kind }) => kind === 'set_up')).toEqual([]);
    expect(script.state.verdict).toMatchObject({ outcome: 'stopped' });
  });

  test('one that waited for it in vain fails as it did', () => {
    const script = new Script(spec());
    script.say({ kind: 'refuse', ...FAILURE });
    expect(script.state.verdict).toEqual(FAILURE);
    expect(script.state.life.kind).toBe('exited');
  });
});

describe('in the ledger', () => {
  const after = (script: Script): LedgerFold => {
    const fold = new LedgerFold();
    const { spec: own, reported: _reported, ...state } = script.state;
    fold.apply({ t: 'start', id: 'c', seq: 1, spec: own, afterStop: 0, priority: 0 });
    const at = `${own.run}/${own.task}#${own.n}`;
    fold.apply({ t: 'attempt', key: at, state, ev: [], isShipped: true });
    return fold;
  };

  test('who is making it is known again, and what was made, also from a summary', () => {
    const script = new Script(spec());
    script.say({ kind: 'begin', slots: [0], makesSetup: true });
    expect([...restoredHost(after(script)).setups]).toEqual([[`${RUN}/k`, `${RUN}/t#1`]]);
    script.end();
    const fold = after(script);
    expect([...restoredHost(fold).setups]).toEqual([[`${RUN}/k`, 'done']]);
    const again = new LedgerFold();
    again.apply({ t: 'summary', ledger: fold.summary(), ev: [] });
    expect([...again.setups]).toEqual([`${RUN}/k`]);
    again.apply({ t: 'dropped', run: RUN });
    expect(again.summary()).not.toHaveProperty('setups');
  });

  test('a failed one is not kept', () => {
    const script = new Script(spec());
    script.say({ kind: 'begin', slots: [0], makesSetup: true });
    script.end(EXITED(1));
    expect([...after(script).setups]).toEqual([]);
  });
});
