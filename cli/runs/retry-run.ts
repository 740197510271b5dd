/**
 * Tasks of a run once more. What has ended stays ended (I3, I4), so it is a run of its own: the same suite,
 * only these tasks, and the run it repeats named in it.
 */
import type { RunFold } from '#protocol/fold/run-fold.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { SubmitReply } from '#protocol/messages/run/api.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { parseSubject, filters } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { operator } from '../mesh/home.ts';
import { archivedRunIds, readArchivedSummary } from './archive.ts';
import { recordOf } from './record.ts';
import { submit } from './submit.ts';

export interface Selection {
  /** Only what makes a run failed: not what somebody stopped. */
  readonly failed: boolean;
  /** Only failures of these classes; none: of any. */
  readonly classes: readonly string[];
  /** Only this one; null: all. */
  readonly task: string | null;
}

const FAILED: ReadonlySet<string> = new Set(['failed', 'timed_out', 'lost', 'quarantined']);

/** Ids of the tasks that have ended, did not pass and are no skipped ones, in the order of the run. Pure. */
export function selectTasks(tasks: Iterable<TaskFold>, selection: Selection): string[] {
  const { failed, classes, task: only } = selection;
  const selected: string[] = [];
  for (const { id, outcome, class: failure } of tasks) {
    if (outcome === null || (only !== null && only !== id)) continue;
    if (!FAILED.has(outcome) && (failed || outcome !== 'stopped')) continue;
    if (classes.length > 0 && (failure === null || !classes.includes(failure))) continue;
    selected.push(id);
  }
  return selected;
}

/**
 * The suite as it was submitted, so with its order, and with what a live change has made of its priority and
 * of how many tasks are under way. Pure; null before `run.submitted` was folded.
 */
export function suiteAgain(fold: RunFold, tasks: readonly string[]): SuiteSpec | null {
  const { submitted, priority, maxParallel } = fold;
  if (submitted === null) return null;
  // What a run of cycles left is run once more, and cycled no more.
  const { untilBudget: _cycles, ...suite } = submitted.suite;
  const repeats = fold.cycles?.begun ?? suite.repeats;
  return { ...suite, repeats, priority, maxParallel, tasks: [...tasks] };
}

/** Rejects as `submit` does. */
export async function submitAgain(
  connection: MeshConnection,
  fold: RunFold,
  tasks: readonly string[],
): Promise<SubmitReply> {
  const { submitted, run } = fold;
  const suite = suiteAgain(fold, tasks);
  if (submitted === null || suite === null)
    throw new MeshError('not_found', `there is no run ${run}`);
  const { suiteText, suiteFile, labels } = submitted;
  const reply = await submit(connection, {
    run: null,
    suite,
    suiteText,
    suiteFile,
    by: operator(),
    ifBusy: 'queue',
    labels,
    retryOf: run,
  });
  if (reply.tasks === tasks.length) return reply;
  throw new MeshError(
    'protocol',
    `the coordinator is of an older version and runs all ${reply.tasks} tasks as run ${reply.run}: stop it`,
  );
}

/** Ids of the runs that run tasks of this one again, in order; ids sort by time, so all are later ones. */
export async function retriesOf(
  run: string,
  where: { readonly connection: MeshConnection | null; readonly resultsDir: string },
): Promise<string[]> {
  const { connection, resultsDir } = where;
  const found = new Set<string>();
  for (const id of await archivedRunIds(resultsDir)) {
    if (id <= run) continue;
    try {
      const { view } = await readArchivedSummary(resultsDir, id);
      if (view.retryOf === run) found.add(id);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error; // a damaged directory is named by `runs`
    }
  }
  if (connection === null) return [...found];
  const query = { stream: STREAMS.events, filters: [filters.allRuns()] };
  await readAll(connection, query, (message) => {
    const subject = parseSubject(message.subject);
    const record = recordOf(message)?.message;
    if (subject?.kind !== 'run' || record?.name !== 'run.submitted') return;
    if (record.data.retryOf === run) found.add(subject.run);
  });
  return [...found].sort();
}
