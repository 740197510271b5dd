/** `show RUN/TASK` names what went wrong beside the outcome. */
import { expect, it } from 'vitest';
import { taskValue } from '#cli/commands/show.ts';
import { taskLines } from '#cli/output/task-text.ts';
import { styleFor } from '#cli/output/style.ts';
import { applyToRun, createRunFold } from '#protocol/fold/run-fold.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

it('files, gaps of the log, the report and the teardown', () => {
  const log = new RecordLog();
  const fold = createRunFold(RUN);
  applyToRun(fold, log.submitted());
  const task = [...fold.tasks.keys()][0] ?? '';
  const lost = Array.from({ length: 12 }, (_, at) => ({ path: `f${at}`, reason: 'a link' }));
  const at = { task, n: 1 };
  const logGaps = [
    { from: 0, to: 1_024 },
    { from: 2_048, to: 3_072 },
  ];
  log.attempt(at, 'attempt.accepted', goldenMessages['attempt.accepted']);
  log.attempt(at, 'attempt.report_malformed', {
    ...{ elapsedMs: 1, line: 'metric a 0x10', reason: 'no number' },
  });
  log.attempt(at, 'attempt.exited', {
    ...goldenMessages['attempt.exited'],
    ...{ filesLost: lost, logGaps, teardownFailure: 'teardown: exit status 1', survivors: [] },
  });
  for (const record of log.records.slice(1)) applyToRun(fold, record);
  const lines = taskLines(RUN, taskValue(fold, task), styleFor(false));
  expect(lines.slice(-14).map((line) => line.trim())).toEqual([
    'report: a line cannot be read: metric a 0x10',
    ...lost.slice(0, 10).map(({ path }) => `not kept: ${path}: a link`),
    'not kept: 2 more files',
    'log: 2.0 KiB were dropped, in 2 gaps',
    'teardown failed: teardown: exit status 1',
  ]);
});
