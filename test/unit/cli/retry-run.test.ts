/** Which tasks are retried: never one that passed, was skipped, or has not ended; and how they are served. */
import { expect, it } from 'vitest';
import { selectTasks, suiteAgain, type Selection } from '#cli/runs/retry-run.ts';
import { createRunFold } from '#protocol/fold/run-fold.ts';
import { createTaskFold, type TaskFold } from '#protocol/fold/task-fold.ts';
import { TASK_OUTCOMES } from '#protocol/messages/attempt/outcome.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';

const task = (id: string, end: Partial<TaskFold>): TaskFold => ({
  ...createTaskFold({ id, index: 0, axes: {}, repeat: 1 }),
  ...end,
});
const TASKS = [
  ...TASK_OUTCOMES.map((outcome) => task(outcome, { outcome, state: 'ended' })),
  task('waits', {}),
  task('oom', { outcome: 'failed', class: 'oom', state: 'ended' }),
];

it.each<[string, Partial<Selection>, string[]]>([
  ['all', {}, ['failed', 'timed_out', 'stopped', 'lost', 'quarantined', 'oom']],
  ['--failed', { failed: true }, ['failed', 'timed_out', 'lost', 'quarantined', 'oom']],
  ['--class oom', { classes: ['oom'] }, ['oom']],
  ['--class of several', { classes: ['exit', 'oom'], failed: true }, ['oom']],
  ['one task', { task: 'lost' }, ['lost']],
  ['one that passed', { task: 'passed' }, []],
])('%s', (_, selection, wanted) => {
  const all = { failed: false, classes: [], task: null };
  expect(selectTasks(TASKS, { ...all, ...selection })).toEqual(wanted);
});

it('has the order of its run, and its priority and limit as they were last', () => {
  const order = { by: 'longest-first' as const };
  const priorityBy = { model: { base: 3 } };
  const suite = { ...goldenSuite, order, priorityBy, priority: 1, maxParallel: 2 };
  const submitted = { ...goldenMessages['run.submitted'], suite };
  const fold = { ...createRunFold('r'), submitted, priority: 7, maxParallel: null };
  const again = { ...suite, priority: 7, maxParallel: null, tasks: ['lost'] };
  expect(suiteAgain(fold, ['lost'])).toEqual(again);
});
