/** Files taken once more, in the fold: of each path the last counts, and nothing else changes. */
import { expect, it } from 'vitest';
import { lastFiles } from '#protocol/fold/attempt-fold.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { attemptOf } from '#protocol/fold/task-attempts.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { attemptView } from '#protocol/fold/attempt-view.ts';
import type { AttemptCollected } from '#protocol/messages/attempt/attempt.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

const task = expandTasks(goldenSuite)[0]?.id ?? '';
const at = { task, n: 1 };
const lost = [{ path: 'b', reason: 'too large' }];
const file = (path: string, hash: string): StoredFile => {
  return { kind: 'result', path, sha256: hash, bytes: 1, chunks: 1 };
};
const collected = (change: Partial<AttemptCollected>): AttemptCollected => {
  return { elapsedMs: 0, id: 'c', by: 'ann', files: [], ...change };
};

class Case {
  readonly log = new RecordLog();

  constructor() {
    this.log.submitted();
  }

  begin(): this {
    this.log.attempt(at, 'attempt.accepted', goldenMessages['attempt.accepted']);
    this.log.attempt(at, 'attempt.step_started', goldenMessages['attempt.step_started']);
    return this;
  }

  stored(path: string, hash: string): this {
    const data = { elapsedMs: 1, file: file(path, hash) };
    this.log.attempt(at, 'attempt.file_stored', data);
    return this;
  }

  exit(filesLost = lost): this {
    const data = { ...goldenMessages['attempt.exited'], outcome: 'failed' as const, filesLost };
    this.log.attempt(at, 'attempt.exited', data);
    return this;
  }

  collected(change: Partial<AttemptCollected>): this {
    this.log.attempt(at, 'attempt.collected', collected(change));
    return this;
  }

  fold(): RunFold {
    const fold = createRunFold(RUN);
    for (const record of this.log.records) applyToRun(fold, record);
    return fold;
  }

  attempt(): NonNullable<ReturnType<typeof attemptView>> {
    const attempt = attemptOf(this.fold().tasks.get(task) as TaskFold, 1);
    if (attempt === null) throw new Error('no attempt');
    return attemptView(attempt);
  }

  files(): string[] {
    return this.attempt().files.map(({ path, sha256 }) => `${path}=${sha256}`);
  }
}

it('of one that has ended: its files and what is missing are those of the collection', () => {
  const one = new Case().begin().stored('a', '1').exit();
  const before = one.attempt();
  const tasks = JSON.stringify(taskViews(one.fold()));
  one.collected({ files: [file('a', '2'), file('b', '3')], lost: [] });
  expect(one.files()).toEqual(['a=2', 'b=3']);
  expect(one.attempt()).toEqual({
    ...before,
    files: one.attempt().files,
    missingFiles: [],
    collected: { id: 'c', by: 'ann', files: 2, isDone: true },
  });
  expect(JSON.stringify(taskViews(one.fold()))).toBe(tasks);
});

it('says what is missing only when all of it was told', () => {
  const one = new Case().begin().exit();
  one.collected({ files: [file('a', '1')] });
  expect(one.attempt()).toMatchObject({ missingFiles: lost, collected: { isDone: false } });
  one.collected({ files: [file('c', '1')], lost: [{ path: 'd', reason: 'no file matches' }] });
  expect(one.attempt().missingFiles).toEqual([{ path: 'd', reason: 'no file matches' }]);
  expect(one.attempt().collected).toMatchObject({ files: 2, isDone: true });
});

it('of one that runs: what it lacks is not missing yet, and its end counts', () => {
  const one = new Case().begin().collected({ files: [file('a', '1')], lost });
  expect(one.attempt()).toMatchObject({ missingFiles: [], outcome: null });
  one.stored('a', '2').exit([]);
  expect(one.files()).toEqual(['a=2']);
  expect(one.attempt().missingFiles).toEqual([]);
});

it('content that comes back counts again; every object of it stays known', () => {
  const one = new Case().begin().collected({ files: [file('a', '1')] });
  one
    .collected({ files: [file('a', '2')] })
    .stored('a', '1')
    .exit();
  expect(one.files()).toEqual(['a=1']);
  const attempt = attemptOf(one.fold().tasks.get(task) as TaskFold, 1);
  expect(attempt?.files.map(({ sha256 }) => sha256).sort()).toEqual(['1', '2']);
  expect(lastFiles(attempt?.files ?? [])).toHaveLength(1);
});

it('after the end of the run it changes nothing', () => {
  const one = new Case().begin().stored('a', '1').exit();
  one.log.run('run.ended', goldenMessages['run.ended']);
  const before = JSON.stringify(one.attempt());
  one.collected({ files: [file('a', '2')], lost: [] });
  expect(JSON.stringify(one.attempt())).toBe(before);
});
