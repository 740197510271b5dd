import { expect, it } from 'vitest';
import { onLeaveSignal, onTermSignal, type OnTerm, type Phase } from '#agent/end-policy.ts';
import { waitingLine } from '#agent/drain.ts';
import { logLine } from '#agent/stderr-log.ts';

/** What each of a row of signals orders: T for SIGTERM or SIGINT, L for SIGUSR2. */
function orders(signals: readonly ('T' | 'L')[], onTerm: OnTerm): string[] {
  let phase: Phase = 'running';
  return signals.map((signal) => {
    const meaning = signal === 'T' ? onTermSignal(phase, onTerm) : onLeaveSignal(phase);
    ({ phase } = meaning);
    return meaning.order;
  });
}

it.each([
  [['T', 'T', 'T', 'T'], 'drain', ['drain', 'stop', 'none', 'none']],
  [['T', 'L', 'T'], 'drain', ['drain', 'leave', 'none']],
  [['T', 'T', 'L', 'T'], 'drain', ['drain', 'stop', 'leave', 'none']],
  [['L', 'L', 'T'], 'drain', ['leave', 'none', 'none']],
  [['T', 'T', 'L'], 'leave', ['leave', 'none', 'none']],
] as const)('%s with on-term %s', (signals, onTerm, wanted) => {
  expect(orders(signals, onTerm)).toEqual(wanted);
});

it('what is waited for is named, at most five of each', () => {
  const running = ['r/a#1 (run)', 'r/b#1 (teardown)'];
  expect(waitingLine({ running, storing: ['r/c#1'], fenced: [] })).toBe(
    'draining: waits for r/a#1 (run), r/b#1 (teardown) to end, and for the log and files of r/c#1 to be stored',
  );
  const many = Array.from({ length: 7 }, (_, at) => `r/${at}#1`);
  expect(waitingLine({ running: [], storing: many, fenced: [] })).toBe(
    'draining: waits for the log and files of r/0#1, r/1#1, r/2#1, r/3#1, r/4#1 and 2 more to be stored',
  );
});

it('a line of the log has the plain values, and no others', () => {
  const fields = {
    run: 'r',
    reason: 'two words',
    at: null,
    err: new Error('no "x"'),
    more: { n: 1 },
  };
  expect(logLine('info', 'attempt exited', fields)).toBe(
    'attempt exited run=r reason="two words" err="no \\"x\\""',
  );
  expect(logLine('warn', 'w', { n: 1, ok: true })).toBe('warn: w n=1 ok=true');
});
