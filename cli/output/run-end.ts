/** The end of a run as `run` and `watch` tell it: table, failures, directory, exit status. */
import { showsAutomatic, type RunFold } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { EXIT, type ExitStatus } from '#protocol/messages/errors.ts';
import { duration } from './format.ts';
import { resultsTable } from './results-table.ts';
import { countsText, cyclesText, failureLines, flakyText, stateText } from './run-text.ts';
import { paintState } from './style.ts';
import { terminal } from './terminal.ts';

/** 3 where a benchmark failed, 1 for a run that somebody stopped, or that could not be archived. */
export function exitOfRun(
  fold: Pick<RunFold, 'state' | 'outcome'>,
  notice: string | null = null,
): ExitStatus {
  if (fold.outcome === 'failed') return EXIT.benchmarkFailed;
  if (notice !== null) return EXIT.failed;
  return fold.outcome === 'passed' ? EXIT.ok : EXIT.failed;
}

export function printEnd(fold: RunFold, directory: string | null): void {
  const view = runView(fold);
  if (view === null) return;
  const { style, width } = terminal;
  const tasks = taskViews(fold);
  terminal.printLines(
    resultsTable(tasks, { style, width, partial: false, automatic: showsAutomatic(fold) }),
  );
  terminal.printLines(failureLines(view.id, tasks, { style, limit: 10 }));
  for (const stop of view.stops.filter((one) => one.task === null)) {
    terminal.print(
      `stopped by ${stop.by}${stop.reason === null ? '' : `: ${stop.reason}`} (${stop.result ?? 'open'})`,
    );
  }
  if (view.flaky !== undefined) terminal.print(`flaky: ${flakyText(view.flaky)}`);
  if (view.cycles !== undefined) terminal.print(`cycles: ${cyclesText(view.cycles)}`);
  const outcome = paintState(style, stateText(view));
  terminal.print(`run ${view.id} ${outcome} in ${duration(view.elapsedMs)}, ${countsText(view)}`);
  if (directory !== null) terminal.print(directory);
}
