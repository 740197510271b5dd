/** A fold that packs what is over shows what one shows that does not, also of what comes late. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attemptViews } from '#protocol/fold/attempt-view.ts';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import { everyoneOf } from '#protocol/fold/gang-fold.ts';
import { createPackedAttempts } from '#protocol/fold/packed/packed-attempts.ts';
import { createPresence } from '#protocol/fold/progress/presence-fold.ts';
import { progressView } from '#protocol/fold/progress/progress-view.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { attemptOf, storedOf, type AttemptSlot } from '#protocol/fold/task-attempts.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

const [task = '', other = ''] = expandTasks(goldenSuite).map(({ id }) => id);
/** The last takes the place of the second. */
const AGENTS = ['a1', 'a2', 'a3'];

function shown(fold: RunFold): string {
  return canonicalJson({
    run: runView(fold),
    tasks: taskViews(fold),
    attempts: [...fold.tasks.values()].map(attemptViews),
    progress: progressView(fold, createPresence()),
  });
}

const file = (sha256: string): never =>
  ({ kind: 'result', path: 'out', sha256, bytes: 5, chunks: 1 }) as never;

const SAID = [
  ...['accepted', 'accepted', 'step', 'exited', 'exited', 'survivors', 'collected', 'file'],
  ...['checkpoint', 'phase', 'message', 'adopted', 'retry', 'ended', 'bulk', 'stage', 'measured'],
  ...['rank_lost', 'rank_replaced'],
] as const;

const anyLog = fc
  .tuple(
    fc.boolean(),
    fc.array(
      fc.record({
        what: fc.constantFrom(...SAID),
        task: fc.constantFrom(task, other),
        n: fc.integer({ min: 1, max: 3 }),
        agent: fc.nat({ max: 2 }),
        x: fc.nat({ max: 4 }),
      }),
      { maxLength: 60, size: 'max' },
    ),
  )
  .map(([isGang, steps]) => {
    const log = new RecordLog();
    log.submitted();
    for (const step of steps) say(log, isGang, step);
    return log.records;
  });

interface Said {
  readonly what: (typeof SAID)[number];
  readonly task: string;
  readonly n: number;
  readonly agent: number;
  readonly x: number;
}

function say(log: RecordLog, isGang: boolean, { what, task: id, n, agent, x }: Said): void {
  const at = { task: id, n, agent: AGENTS[agent] ?? '' };
  const rank = Math.min(agent, 1);
  const elapsedMs = x * 100;
  const place = isGang ? { gang: { rank, hosts: 2 } } : {};
  const end = { outcome: 'failed' as const, stage: null, class: null, reason: null };
  if (what === 'accepted')
    log.attempt(at, 'attempt.accepted', { ...goldenMessages['attempt.accepted'], ...place });
  else if (what === 'step')
    log.attempt(at, 'attempt.step_started', { elapsedMs, step: 'run', id: 'run', pid: 1 });
  else if (what === 'exited')
    log.attempt(at, 'attempt.exited', { ...goldenMessages['attempt.exited'], elapsedMs });
  else if (what === 'survivors')
    log.attempt(at, 'attempt.survivors_gone', { elapsedMs, survivors: [7] });
  else if (what === 'collected')
    log.attempt(at, 'attempt.collected', {
      ...{ elapsedMs, id: `c${x}`, by: 'ann', files: [file(`${x}`)], lost: [] },
    });
  else if (what === 'file') log.attempt(at, 'attempt.file_stored', { elapsedMs, file: file('0') });
  else if (what === 'checkpoint')
    log.attempt(at, 'attempt.checkpointed', {
      elapsedMs,
      number: x + 1,
      files: [file('9')],
      keep: 2,
    });
  else if (what === 'phase')
    log.attempt(at, 'attempt.phase', { elapsedMs, phase: `p${x}`, index: x });
  else if (what === 'message') log.attempt(at, 'attempt.message', { elapsedMs, text: `said ${x}` });
  else if (what === 'adopted')
    log.attempt(at, 'attempt.adopted', { elapsedMs, step: 'run', alive: true });
  else if (what === 'stage')
    log.task(id, 'task.stage_opened', { n, stage: x, ranks: 2, startMs: 1, measureMs: 1 });
  else if (what === 'rank_lost')
    log.task(id, 'task.rank_lost', {
      ...{ n, rank, agent: at.agent, reason: 'lost', withinMs: 1 },
    });
  else if (what === 'rank_replaced')
    log.task(id, 'task.rank_replaced', {
      ...{ n, rank: 1, epoch: 1, lost: 'a2', peer: { agent: 'a3', host: 'h3', address: '' } },
    });
  else if (what === 'measured')
    log.attempt(at, 'attempt.stage_measured', {
      ...{ elapsedMs, stage: x, isWhole: true, metrics: [], requests: null },
    });
  else if (what === 'retry')
    log.task(id, 'task.retrying', {
      ...{ n, class: 'lost', reason: null },
      ...(x > 2 ? { superseded: true, avoid: at.agent } : {}),
    });
  else if (what === 'ended')
    log.task(id, 'task.ended', { ...end, n, ...(x > 2 ? { without: [at.agent] } : {}) });
  else log.run('run.tasks_ended', { outcome: 'stopped', reason: 'r', tasks: [id] });
}

describe('a fold that packs', () => {
  it('shows the same after every event, whatever comes and however late (I2)', () => {
    fc.assert(
      fc.property(anyLog, (records) => {
        const plain = createRunFold(RUN);
        const packing = createRunFold(RUN, createPackedAttempts());
        for (const record of records) {
          applyToRun(plain, record);
          applyToRun(packing, record);
          expect(shown(packing)).toBe(shown(plain));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('keeps nothing unpacked of a task that has ended, or has gone on', () => {
    fc.assert(
      fc.property(anyLog, (records) => {
        const fold = createRunFold(RUN, createPackedAttempts());
        for (const record of records) applyToRun(fold, record);
        for (const one of fold.tasks.values()) {
          const over = one.state === 'ended' ? one.attempts : one.attempts.slice(0, one.n - 1);
          expect(over.every((slot) => typeof slot !== 'object')).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });
});

/** One attempt of an ended task. */
class Ended {
  readonly log = new RecordLog();
  readonly fold = createRunFold(RUN, createPackedAttempts());

  constructor(isSuperseded = false) {
    applyToRun(this.fold, this.log.submitted());
    this.say('attempt.accepted', goldenMessages['attempt.accepted']);
    if (!isSuperseded) this.say('attempt.exited', goldenMessages['attempt.exited']);
    const end = { outcome: 'lost' as const, n: 1, stage: null, class: null, reason: null };
    const without = isSuperseded ? { without: ['a1'] } : {};
    applyToRun(this.fold, this.log.task(task, 'task.ended', { ...end, ...without }));
  }

  say(...[name, data]: [Parameters<RecordLog['attempt']>[1], unknown]): void {
    applyToRun(this.fold, this.log.attempt({ task, n: 1 }, name, data as never));
  }

  slot(): AttemptSlot {
    return this.fold.tasks.get(task)?.attempts[0];
  }

  attempt(): ReturnType<typeof attemptOf> {
    return attemptOf(this.fold.tasks.get(task) as TaskFold, 1);
  }
}

describe('what is stored of a task', () => {
  it('is the same whether its attempts are packed or not', () => {
    const stored = (task: TaskFold): unknown =>
      storedOf(task).map(
        (one) =>
          one &&
          everyoneOf(one).map(({ n, agent, files, checkpoints }) => ({
            n,
            agent,
            files,
            checkpoints,
          })),
      );
    const seen = { files: 0, checkpoints: 0 };
    fc.assert(
      fc.property(anyLog, (records) => {
        const [plain, packing] = [createRunFold(RUN), createRunFold(RUN, createPackedAttempts())];
        for (const fold of [plain, packing]) for (const record of records) applyToRun(fold, record);
        for (const id of [task, other]) {
          const [one, two] = [plain, packing].map((fold) => fold.tasks.get(id) as TaskFold);
          if (one === undefined || two === undefined) throw new Error('no task');
          expect(stored(two)).toEqual(stored(one));
          for (const attempt of storedOf(two)) {
            seen.files += attempt?.files.length ?? 0;
            seen.checkpoints += attempt?.checkpoints.length ?? 0;
          }
        }
      }),
      { numRuns: 200 },
    );
    expect(Math.min(seen.files, seen.checkpoints)).toBeGreaterThan(0);
  });
});

describe('an attempt that is packed', () => {
  it('takes files that are collected once more, and that its survivors have gone', () => {
    const ended = new Ended();
    expect(ended.slot()).toBeTypeOf('number');
    const collected = { elapsedMs: 0, id: 'c1', by: 'ann', files: [file('1')], lost: [] };
    ended.say('attempt.collected', collected);
    ended.say('attempt.survivors_gone', { elapsedMs: 0, survivors: [7] });
    expect(ended.slot()).toBeTypeOf('number');
    expect(ended.attempt()).toMatchObject({
      files: [{ sha256: '1' }],
      collected: { id: 'c1', isDone: true },
      survivorsGoneMs: 1_000_060,
    });
  });

  it('of an agent that was lost says what it came to when that is back', () => {
    const ended = new Ended(true);
    expect(ended.slot()).toBeTypeOf('number');
    expect(ended.attempt()).toMatchObject({ superseded: true, exited: null });
    ended.say('attempt.exited', goldenMessages['attempt.exited']);
    expect(ended.slot()).toBeTypeOf('number');
    expect(ended.attempt()).toMatchObject({ superseded: true, state: 'exited' });
  });

  it('may grow again and again: what that leaves behind is cleared away', () => {
    const ended = new Ended();
    for (let round = 0; round < 600; round += 1)
      ended.say('attempt.collected', {
        ...{ elapsedMs: 0, id: `c${round}`, by: 'ann', lost: [] },
        files: [
          { kind: 'result', path: `out ${round}`, sha256: 'ab'.repeat(32), bytes: 1, chunks: 1 },
        ],
      });
    expect(ended.attempt()?.files).toHaveLength(600);
    const kept = ended.fold.packed?.blocks.reduce((sum, { length }) => sum + length, 0);
    expect(kept).toBeLessThan(4 << 20);
  });
});
