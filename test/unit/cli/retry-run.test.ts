/** Which tasks are retried: never one that passed, was skipped, or has not ended. */
import { expect, it } from 'vitest';
import { selectTasks, type Selection } from '#cli/runs/retry-run.ts';
import { createTaskFold, type TaskFold } from '#protocol/fold/task-fold.ts';
import { TASK_OUTCOMES } from '#protocol/messages/attempt/outcome.ts';

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
