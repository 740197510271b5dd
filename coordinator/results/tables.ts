/** Tables of a run's directory as NDJSON: of one task its own row, those of measurements, of attempts. Pure. */
import { everyRank } from '#protocol/fold/replaced-ranks.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import { attemptView } from '#protocol/fold/attempt-view.ts';
import type { AttemptFold } from '#protocol/fold/attempt-fold.ts';
import { acceptedAttempts, attemptsOf } from '#protocol/fold/task-attempts.ts';
import { raisedNeedsOf, type TaskFold } from '#protocol/fold/task-fold.ts';
import { rampView } from '#protocol/fold/ramp-fold.ts';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks, type PlannedTask } from '#protocol/suite/expand.ts';

export function taskRow(fold: RunFold, task: TaskFold): string {
  return canonicalJson(taskView(fold, task));
}

/** Measurements of every attempt; those of one that did not pass, or was repeated, are partial. */
export function* metricRows(task: TaskFold): Generator<string> {
  for (const attempt of acceptedAttempts(task)) {
    const outcome = attempt.exited?.outcome ?? null;
    const isDecisive = attempt.n === task.n && task.outcome === 'passed';
    for (const metric of attempt.exited?.metrics ?? []) {
      const { name, value, unit, direction, across, ranks } = metric;
      yield canonicalJson({
        axes: task.axes,
        repeat: task.repeat,
        task: task.id,
        n: attempt.n,
        name,
        value,
        unit,
        direction,
        ...(ranks === undefined ? {} : { across, ranks }),
        outcome,
        partial: !isDecisive,
      });
    }
  }
}

/** Of a task whose ranks began in steps: what each stage measured. */
export function* stageRows(task: TaskFold): Generator<string> {
  for (const attempt of acceptedAttempts(task)) {
    const ramp = attempt.gang === undefined ? null : rampView(attempt.gang);
    const { id, axes, repeat } = task;
    for (const { metrics, requests: _, ...stage } of ramp?.stages ?? []) {
      for (const { name, value, unit, direction, across } of metrics) {
        const measured = { name, value, unit, direction, ...(across && { across }) };
        const isLast = ramp?.ended?.stage === stage.stage;
        yield canonicalJson({
          axes,
          repeat,
          task: id,
          n: attempt.n,
          ...stage,
          isLast,
          ...measured,
        });
      }
    }
  }
}

/** What the rows of all attempts have in common. */
export interface RunOfAttempts {
  readonly fold: RunFold;
  readonly suite: SuiteSpec;
  readonly planned: ReadonlyMap<string, PlannedTask>;
  readonly hosts: Readonly<Record<string, Registration>>;
}

export function runOfAttempts(
  fold: RunFold,
  suite: SuiteSpec,
  hosts: RunOfAttempts['hosts'],
): RunOfAttempts {
  // The tasks of a run of n cycles are those of the suite with n repeats.
  const repeats = fold.cycles?.begun ?? suite.repeats;
  const planned = new Map(expandTasks({ ...suite, repeats }).map((task) => [task.id, task]));
  return { fold, suite, planned, hosts };
}

/** Each attempt, of a gang that of each rank: what it was to do, what is known of it, and the host it ran on as registered. */
export function* attemptRows(
  { fold, suite, planned, hosts }: RunOfAttempts,
  task: TaskFold,
): Generator<string> {
  for (const { attempt, place } of membersIn(attemptsOf(task))) {
    const { exited, agent, n } = attempt;
    const cell = planned.get(task.id);
    yield canonicalJson({
      version: 1,
      run: fold.run,
      task: task.id,
      axes: task.axes,
      repeat: task.repeat,
      ...attemptView(attempt),
      ...place,
      metrics: exited?.metrics ?? [],
      registration: hosts[agent] ?? null,
      spec:
        cell === undefined
          ? null
          : specOf(suite, { run: fold.run, task: cell, n, needs: raisedNeedsOf(task, n) }),
    });
  }
}

/** Null for one that could not be started because its spec cannot be made. */
function specOf(suite: SuiteSpec, at: Parameters<typeof attemptSpec>[1]): AttemptSpec | null {
  try {
    return attemptSpec(suite, at);
  } catch {
    return null;
  }
}

/** Of a gang which rank it is; nothing for an attempt that is a task's only one. */
export type RankPlace = Pick<AttemptRef, 'rank' | 'since'>;

/** Each that has an agent of its own: an attempt, of a gang its ranks, with those that were given up. */
export function* membersIn(
  attempts: readonly (AttemptFold | undefined)[],
): Generator<{ readonly attempt: AttemptFold; readonly place: RankPlace }> {
  for (const attempt of attempts) {
    if (attempt === undefined) continue;
    if (attempt.gang === undefined) yield { attempt, place: {} };
    for (const { rank, since, fold } of everyRank(attempt))
      yield { attempt: fold, place: placeOf(rank, since) };
  }
}

export function placeOf(rank: number, since: number): RankPlace {
  return { rank, ...(since === 0 ? {} : { since }) };
}
