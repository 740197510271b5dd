import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyStart,
  applyToStop,
  createStopFold,
  isStopOpen,
  stopView,
  type StopFold,
} from '#protocol/fold/stop-fold.ts';
import type { StoppedAttempt } from '#protocol/messages/agent/host.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

const dead: StoppedAttempt = {
  run: RUN,
  task: 't1',
  n: 1,
  processes: 3,
  signal: 'SIGTERM',
  goneMs: 5,
  proof: 'subreaper',
  proven: true,
  survivors: [],
};

function stopOf(task: string | null = null): StopFold {
  const fold = createStopFold({ command: 's1', run: RUN, task, sequence: 100 });
  applyStart(fold, { agent: 'a1', run: RUN, task: 't1', n: 1, sequence: 10 });
  return fold;
}

function exited(fold: StopFold, proven: boolean, by: string | null = null): void {
  const log = new RecordLog();
  applyToStop(
    fold,
    log.attempt({ task: 't1', n: 1 }, 'attempt.exited', {
      ...goldenMessages['attempt.exited'],
      stop: by === null ? null : { command: by, by: 'ann', reason: null },
      proven,
    }),
  );
}

function ack(
  fold: StopFold,
  what: 'received' | 'done',
  attempts: StoppedAttempt[] = [dead],
  agent = 'a1',
): void {
  const log = new RecordLog();
  const subject = subjects.ack(agent, 's1');
  applyToStop(
    fold,
    what === 'received'
      ? log.add(subject, 'command.received', { kind: 'stop', attempts: attempts.length })
      : log.add(subject, 'command.stop_done', { run: RUN, task: null, attempts }),
  );
}

describe('a stop (I5)', () => {
  it('is open while an agent with a start has neither ended it provably nor acknowledged', () => {
    expect(stopView(stopOf()).verdict).toBe('open');
  });

  it('is done when the agent acknowledges with zero survivors', () => {
    const fold = stopOf();
    ack(fold, 'done');
    expect(stopView(fold)).toMatchObject({
      verdict: 'dead',
      agents: [{ agent: 'a1', done: true, open: false }],
    });
  });

  it('is done when every start had a proven end before', () => {
    const fold = stopOf();
    exited(fold, true);
    expect(stopView(fold).verdict).toBe('dead');
  });

  it('an end without proof is no end', () => {
    const fold = stopOf();
    exited(fold, false);
    expect(stopView(fold).verdict).toBe('open');
  });

  it('an end without proof stays unproven when the agent has nothing to say of it', () => {
    const silent = stopOf();
    exited(silent, false);
    ack(silent, 'done', []);
    expect(stopView(silent)).toMatchObject({
      verdict: 'unproven',
      agents: [{ open: false, unproven: [`${RUN}/t1#1`] }],
    });
    const answered = stopOf();
    exited(answered, false);
    ack(answered, 'done');
    expect(stopView(answered).verdict).toBe('dead');
    const known = createStopFold({ command: 's1', run: RUN, task: null, sequence: 100 });
    applyStart(known, { agent: 'a1', run: RUN, task: 't1', n: 1, sequence: 5, exited: true });
    ack(known, 'done', []);
    expect(stopView(known).verdict).toBe('unproven');
  });

  it('an agent whose attempt has ended by it is waited for: the proof comes with its word', () => {
    const fold = stopOf();
    exited(fold, true, 's1');
    expect(stopView(fold)).toMatchObject({
      verdict: 'open',
      agents: [{ received: true, open: true }],
    });
    ack(fold, 'done');
    expect(stopView(fold)).toMatchObject({ verdict: 'dead', agents: [{ attempts: [dead] }] });
    const other = stopOf();
    exited(other, true, 's2');
    expect(stopView(other).verdict).toBe('dead');
  });

  it('an agent that is done has received it', () => {
    const fold = stopOf();
    ack(fold, 'done');
    expect(stopView(fold).agents).toMatchObject([{ received: true, done: true }]);
  });

  it('an agent that has received it with attempts in hand is waited for', () => {
    const fold = stopOf();
    ack(fold, 'received');
    exited(fold, true);
    expect(stopView(fold).verdict).toBe('open');
    ack(fold, 'done');
    expect(stopView(fold).verdict).toBe('dead');
  });

  it('is unproven when a rung could not prove, unkillable when something survived', () => {
    const unproven = stopOf();
    ack(unproven, 'done', [{ ...dead, proof: 'scan', proven: false }]);
    expect(stopView(unproven).verdict).toBe('unproven');
    const unkillable = stopOf();
    ack(unkillable, 'done', [{ ...dead, survivors: [77] }]);
    expect(stopView(unkillable).verdict).toBe('unkillable');
  });

  it('waits for every agent, and names the unreachable', () => {
    const fold = stopOf();
    applyStart(fold, { agent: 'a2', run: RUN, task: 't2', n: 1, sequence: 11 });
    ack(fold, 'done');
    applyToStop(
      fold,
      new RecordLog().add(subjects.fleet('a2'), 'agent.unreachable', { silentMs: 1 }),
    );
    expect(stopView(fold)).toMatchObject({
      verdict: 'open',
      agents: [{ agent: 'a1' }, { agent: 'a2', open: true, unreachable: true, owed: 1 }],
    });
  });

  it('knows an attempt whose start has expired by its acceptance', () => {
    const fold = createStopFold({ command: 's1', run: RUN, task: null, sequence: 100 });
    const at = { task: 't1', n: 1 };
    applyToStop(
      fold,
      new RecordLog().attempt(at, 'attempt.accepted', goldenMessages['attempt.accepted']),
    );
    expect(stopView(fold)).toMatchObject({ verdict: 'open', agents: [{ agent: 'a1', owed: 1 }] });
    ack(fold, 'done');
    expect(stopView(fold).verdict).toBe('dead');
  });

  it('starts after the stop, of other runs and of other tasks are not its business', () => {
    const fold = createStopFold({ command: 's1', run: RUN, task: 't1', sequence: 100 });
    applyStart(fold, { agent: 'a1', run: RUN, task: 't1', n: 2, sequence: 101 });
    applyStart(fold, { agent: 'a1', run: 'other', task: 't1', n: 1, sequence: 5 });
    applyStart(fold, { agent: 'a1', run: RUN, task: 't2', n: 1, sequence: 5 });
    expect(stopView(fold)).toMatchObject({ verdict: 'dead', agents: [] });
  });

  it('an agent with nothing of it may acknowledge with nothing', () => {
    const fold = stopOf();
    ack(fold, 'received', [], 'a9');
    ack(fold, 'done', [], 'a9');
    ack(fold, 'done');
    expect(stopView(fold).verdict).toBe('dead');
  });

  it('knows without a look at every agent whether it is open', () => {
    const agent = fc.constantFrom('a1', 'a2', 'a3');
    const task = fc.constantFrom('t1', 't2');
    const step = fc.oneof(
      fc.record({ what: fc.constant('start' as const), agent, task, sequence: fc.nat(200) }),
      fc.record({ what: fc.constant('exited' as const), agent, task, proven: fc.boolean() }),
      fc.record({ what: fc.constant('accepted' as const), agent, task }),
      fc.record({ what: fc.constant('received' as const), agent, attempts: fc.nat(2) }),
      fc.record({ what: fc.constant('done' as const), agent }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const fold = createStopFold({ command: 's1', run: RUN, task: null, sequence: 100 });
        for (const one of steps) {
          applyStep(fold, one);
          expect(isStopOpen(fold)).toBe(stopView(fold).verdict === 'open');
          expect(isStopOpen(fold)).toBe(stopView(fold).agents.some(({ open }) => open));
        }
      }),
    );
  });
});

type Step =
  | { what: 'start'; agent: string; task: string; sequence: number }
  | { what: 'exited'; agent: string; task: string; proven: boolean }
  | { what: 'accepted'; agent: string; task: string }
  | { what: 'received'; agent: string; attempts: number }
  | { what: 'done'; agent: string };

function applyStep(fold: StopFold, step: Step): void {
  const { agent } = step;
  const log = new RecordLog();
  switch (step.what) {
    case 'start':
      applyStart(fold, { agent, run: RUN, task: step.task, n: 1, sequence: step.sequence });
      return;
    case 'exited':
    case 'accepted': {
      const subject = subjects.attemptEvents(agent, { run: RUN, task: step.task, n: 1 });
      const exit = {
        ...goldenMessages['attempt.exited'],
        proven: step.what === 'exited' && step.proven,
      };
      const record =
        step.what === 'exited'
          ? log.add(subject, 'attempt.exited', exit)
          : log.add(subject, 'attempt.accepted', goldenMessages['attempt.accepted']);
      applyToStop(fold, record);
      return;
    }
    case 'received':
      ack(
        fold,
        'received',
        Array.from({ length: step.attempts }, () => dead),
        agent,
      );
      return;
    case 'done':
      ack(fold, 'done', [dead], agent);
      return;
  }
}
