/** A host that is cut off: what ends by it, when, and what does not. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newHost } from '#agent/host/host-state.ts';
import { watchPartition } from '#agent/host/partition-watch.ts';
import type { ConnectionStatus } from '#protocol/nats/connection.ts';
import { ManualClock } from '#test/support/manual-clock.ts';
import { EXITED, Script, specOf } from './attempt-cases.ts';
import { play, short, start } from './host-cases.ts';

const limited = (task: string, sequence: number, stopAfterMs: number) => {
  const message = start(task, sequence);
  if (message.kind !== 'start') throw new Error('no start');
  return { ...message, spec: { ...message.spec, onPartition: { stopAfterMs } } };
};

describe('the host', () => {
  test('ends what has a limit that is over, also what waits, and nothing else', () => {
    const { state } = play([
      limited('a', 1, 100),
      limited('later', 2, 200),
      limited('queued', 3, 100),
      start('free', 4),
    ]);
    expect(short(play([{ kind: 'cut_off', forMs: 99 }], state).effects)).toEqual([]);
    const { state: cut, effects } = play([{ kind: 'cut_off', forMs: 100 }], state);
    expect(short(effects)).toEqual(['cut_off a', 'cut_off queued']);
    const freed = play([{ kind: 'freed', key: [...cut.live.keys()][0] ?? '' }], cut);
    expect(short(freed.effects)).toEqual(['begin free']);
  });
});

describe('the attempt', () => {
  test('ends verified, with its teardown, and says why', () => {
    const script = new Script(specOf(['run', 'teardown']));
    script.begin();
    expect(script.say({ kind: 'cut_off', reason: 'away' })).toContainEqual({
      kind: 'stop_step',
      index: 0,
      graceMs: 1000,
      now: false,
    });
    script.end({ kind: 'signaled', signal: 'SIGTERM', core: false });
    script.end();
    expect(script.started()).toEqual(['run', 'teardown']);
    expect(script.state.verdict).toEqual({
      outcome: 'failed',
      stage: 'run',
      class: 'partition',
      reason: 'away',
    });
  });

  test('that waits never begins', () => {
    const script = new Script(specOf(['run']));
    script.say({ kind: 'cut_off', reason: 'away' });
    expect(script.begin()).toEqual([]);
    expect(script.state).toMatchObject({
      life: { kind: 'exited' },
      verdict: { stage: 'provision', class: 'partition' },
    });
  });

  test.each([
    ['in its teardown', (script: Script) => script.end()],
    ['that failed', (script: Script) => script.end(EXITED(1))],
    ['that is stopped', (script: Script) => script.stop()],
  ])('%s goes on as it was', (_what, prepare) => {
    const script = new Script(specOf(['run', 'teardown']));
    script.begin();
    prepare(script);
    const before = script.state;
    expect(script.say({ kind: 'cut_off', reason: 'away' })).toEqual([]);
    expect(script.state).toEqual(before);
  });
});

function watched(limitsMs: readonly number[]) {
  const clock = new ManualClock();
  const told: number[] = [];
  let say: (status: ConnectionStatus) => void = () => undefined;
  const end = watchPartition({
    connection: {
      onStatus: (listener) => {
        say = listener;
        return () => undefined;
      },
    },
    host: {
      stopAfterMs: (passedMs) => {
        const left = limitsMs.filter((ms) => ms > passedMs);
        return left.length === 0 ? null : Math.min(...left);
      },
      onCutOff: (forMs) => told.push(forMs),
    },
    clock,
  });
  return {
    clock,
    told,
    end,
    say: (status: ConnectionStatus) => {
      say(status);
    },
  };
}

describe('the watch', () => {
  test('tells each limit once it is over; a link that comes back begins anew', () => {
    const { clock, told, say, end } = watched([100, 250, 2 ** 40]);
    clock.advance(1_000);
    say('disconnected');
    clock.advance(99);
    expect(told).toEqual([]);
    clock.advance(200);
    expect(told).toEqual([100, 250]);
    say('reconnected');
    expect(clock.waiting).toBe(0);
    clock.advance(1_000);
    say('disconnected');
    clock.advance(100);
    expect(told).toEqual([100, 250, 100]);
    end();
    expect(clock.waiting).toBe(0);
  });

  test('a timer that fires too early, on a clock that goes on while it is read, loses no limit', () => {
    const due: (() => void)[] = [];
    const told: number[] = [];
    let say: (status: ConnectionStatus) => void = () => undefined;
    let nowMs = 0;
    watchPartition({
      connection: {
        onStatus: (listener) => {
          say = listener;
          return () => undefined;
        },
      },
      host: {
        stopAfterMs: (passedMs) => (passedMs < 100 ? 100 : null),
        onCutOff: (forMs) => told.push(forMs),
      },
      clock: {
        now: () => {
          nowMs += 0.1;
          return { wallMs: 0, monotonicMs: nowMs };
        },
        after: (delayMs, fire) => {
          due.push(() => {
            nowMs += Math.max(0, delayMs - 0.15);
            fire();
          });
          return { cancel: () => undefined };
        },
      },
    });
    say('disconnected');
    for (let fire = due.shift(); fire !== undefined; fire = due.shift()) fire();
    expect(told.at(-1)).toBeGreaterThanOrEqual(100);
  });

  test('costs no timer where nothing has a limit', () => {
    const { clock, say } = watched([]);
    say('disconnected');
    expect(clock.waiting).toBe(0);
  });

  test('never tells too early, whatever comes and goes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 300 })), { maxLength: 30 }),
        (moves) => {
          const { clock, told, say } = watched([100]);
          let longest = 0;
          for (const [isCut, ms] of moves) {
            say(isCut ? 'disconnected' : 'reconnected');
            clock.advance(ms);
            if (isCut) longest = Math.max(longest, ms);
          }
          expect(told.length > 0).toBe(longest >= 100);
        },
      ),
    );
  });
});

test('a host without limits tells none', () => {
  expect(
    play([start('a', 1), { kind: 'cut_off', forMs: 1e9 }], newHost(1, 1)).effects,
  ).toHaveLength(2);
});
