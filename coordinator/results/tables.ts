/** Tables of a run's directory as NDJSON: one row per task, one per measurement. Pure. */
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { attemptView, taskView } from '#protocol/fold/run-view.ts';
import type { AttemptFold } from '#protocol/fold/attempt-fold.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import type { Registration } from '#protocol/messages/host.ts';

export function* taskRows(fold: RunFold): Generator<string> {
  for (const task of fold.tasks.values()) yield canonicalJson(taskView(fold, task));
}

/** Measurements of every attempt; those of one that did not pass, or was repeated, are partial. */
export function* metricRows(fold: RunFold): Generator<string> {
  for (const task of fold.tasks.values()) {
    for (const attempt of attemptsOf(task)) {
      const outcome = attempt.exited?.outcome ?? null;
      const isDecisive = attempt.n === task.n && task.outcome === 'passed';
      for (const { name, value, unit, direction } of attempt.exited?.metrics ?? []) {
        yield canonicalJson({
          axes: task.axes,
          repeat: task.repeat,
          task: task.id,
          n: attempt.n,
          name,
          value,
          unit,
          direction,
          outcome,
          partial: !isDecisive,
        });
      }
    }
  }
}

/** What is known of one attempt, with the host it ran on as it was registered. */
export function attemptRecord(
  fold: RunFold,
  task: TaskFold,
  input: { attempt: AttemptFold; host: Registration | null },
): string {
  const { attempt, host } = input;
  const { exited } = attempt;
  return canonicalJson({
    version: 1,
    run: fold.run,
    task: task.id,
    axes: task.axes,
    repeat: task.repeat,
    ...attemptView(attempt),
    metrics: exited?.metrics ?? [],
    logGaps: exited?.logGaps ?? [],
    missingFiles: exited?.filesLost ?? [],
    teardownFailure: exited?.teardownFailure ?? null,
    registration: host,
  });
}

export function attemptsOf(task: TaskFold): AttemptFold[] {
  return task.attempts.filter((attempt) => attempt !== undefined);
}
