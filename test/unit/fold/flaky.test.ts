/** Cells whose repeats disagree: counted, and shown wherever a cell is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resultsTable } from '#cli/output/results-table.ts';
import { runLines, taskColumns, taskStateText } from '#cli/output/run-text.ts';
import { styleFor } from '#cli/output/style.ts';
import { table } from '#cli/output/table.ts';
import { countEnd, createTally, flakyCounts, uncovered } from '#protocol/fold/cell-tally.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { taskViews, type TaskView } from '#protocol/fold/task-view.ts';
import { TASK_OUTCOMES, type TaskOutcome } from '#protocol/messages/attempt/outcome.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

const style = styleFor(false);

/** A run of two cells, each three times, with these ends in the order of the matrix. */
function ended(outcomes: readonly TaskOutcome[]): { fold: RunFold; tasks: TaskView[] } {
  const log = new RecordLog();
  const suite = { ...goldenSuite, axes: { size: [16, 64] }, include: [], exclude: [], repeats: 3 };
  log.run('run.submitted', { ...goldenMessages['run.submitted'], suite, tasks: 6 });
  const fold = createRunFold(RUN);
  for (const record of log.records) applyToRun(fold, record);
  const ids = [...fold.tasks.keys()];
  outcomes.forEach((outcome, at) => {
    log.run('run.tasks_ended', { outcome, reason: null, tasks: [ids[at] ?? ''] });
  });
  for (const record of log.records) applyToRun(fold, record);
  return { fold, tasks: taskViews(fold) };
}

describe('a flaky cell', () => {
  it('has both passed and failed; what was cut short or lost does not count', () => {
    const { fold, tasks } = ended(['passed', 'passed', 'failed', 'stopped', 'timed_out', 'lost']);
    const flaky = { passed: 1, failed: 2 };
    expect(runView(fold)?.flaky).toEqual({ cells: 1, listed: [{ axes: { size: 16 }, ...flaky }] });
    expect(tasks.map((task) => task.flaky)).toEqual([
      flaky,
      ...[undefined, flaky, undefined, flaky, undefined],
    ]);
    expect(runView(ended(['passed', 'failed']).fold)).not.toHaveProperty('flaky');
  });

  it('is shown of the run, its tasks and its results, and nowhere else', () => {
    const { fold, tasks } = ended(['passed', 'passed', 'failed', 'passed', 'passed', 'passed']);
    const view = runView(fold);
    if (view === null) throw new Error('no view');
    expect(runLines(view, { style, directory: null }).join('\n')).toMatch(
      /flaky +1 cell both passed and failed: size=16 2 of 3 passed/,
    );
    const lines = table(tasks, taskColumns(style, tasks), { width: null });
    expect(lines[0]).toContain('flaky');
    expect(lines.filter((line) => line.includes('2 of 3 passed'))).toHaveLength(3);
    expect(table(tasks, taskColumns(style), { width: null })[0]).not.toContain('flaky');
    const metrics = [{ name: 'rate', value: 1, unit: '', direction: 'none' as const }];
    const measured = tasks.map((task) => ({ ...task, metrics }));
    const about = { style, width: null, partial: false, automatic: false };
    const rows = resultsTable(measured, about);
    expect(rows[0]).toMatch(/ flaky$/);
    expect(rows[1]).toMatch(/ 2 of 3 passed$/);
    expect(rows[2]).toMatch(/ -$/);
    const agreed = measured.map(({ flaky: _none, ...task }) => task);
    expect(resultsTable(agreed, about)[0]).not.toContain('flaky');
  });

  it('is told of chosen tasks, whose repeats do not come one after the other', () => {
    const all = ended([]).tasks;
    const ids = [2, 3, 4].map((at) => all[at]?.id ?? '');
    const suite = { ...goldenSuite, axes: { size: [16, 64] }, include: [], exclude: [] };
    const log = new RecordLog();
    log.submitted({ ...suite, repeats: 3, tasks: ids });
    log.run('run.tasks_ended', { outcome: 'passed', reason: null, tasks: ids.slice(0, 2) });
    log.run('run.tasks_ended', { outcome: 'timed_out', reason: null, tasks: ids.slice(2) });
    const fold = createRunFold(RUN);
    for (const record of log.records) applyToRun(fold, record);
    const flaky = { passed: 1, failed: 1 };
    expect(taskViews(fold).map((task) => task.flaky)).toEqual([flaky, undefined, flaky]);
    expect(runView(fold)?.flaky).toEqual({ cells: 1, listed: [{ axes: { size: 16 }, ...flaky }] });
  });

  it('is what a count over all ends says', () => {
    const cells = 4;
    const end = fc.record({
      index: fc.nat({ max: 99 }),
      outcome: fc.constantFrom<TaskOutcome>(...TASK_OUTCOMES),
    });
    fc.assert(
      fc.property(fc.array(end, { maxLength: 60 }), (ends) => {
        const tally = createTally(cells);
        for (const { index, outcome } of ends) countEnd(tally, index, outcome);
        const of = (cell: number): TaskOutcome[] =>
          ends.flatMap(({ index, outcome }) => (index % cells === cell ? [outcome] : []));
        const expected = Array.from({ length: cells }, (_, cell) => {
          const passed = of(cell).filter((one) => one === 'passed').length;
          const failed = of(cell).filter((one) => one === 'failed' || one === 'timed_out').length;
          return passed > 0 && failed > 0 ? { passed, failed } : null;
        });
        expect(expected.map((_, cell) => flakyCounts(tally, cell))).toEqual(expected);
        expect(tally.flaky).toBe(expected.filter((one) => one !== null).length);
        const never = expected.filter((_, cell) => of(cell).every((one) => one === 'stopped'));
        expect(uncovered(tally)).toBe(never.length);
      }),
    );
  });
});

it('a task that waits before a retry says until when', () => {
  const { tasks } = ended([]);
  const [task] = tasks;
  if (task === undefined) throw new Error('no task');
  const held = { ...task, retryAt: '2026-02-13T14:30:45.123Z' };
  expect(taskStateText(held)).toBe('retry at 2026-02-13 14:30:45Z');
  expect(taskStateText({ ...held, paused: { by: 'ann@box', reason: null } })).toBe(
    'paused by ann@box',
  );
});
