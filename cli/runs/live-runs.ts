/** Every run in the log, folded in one pass. */
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { runView, type RunView } from '#protocol/fold/run-view.ts';
import { parseSubject, subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { recordOf } from './record.ts';

export interface LiveRun {
  readonly sequence: number;
  readonly view: RunView;
  readonly archived: string | null;
}

/** In the order of their ids. */
export async function liveRuns(connection: MeshConnection): Promise<LiveRun[]> {
  const folds = new Map<string, RunFold>();
  const anyRef = { run: '*', task: '*', n: 1 };
  const attempts = subjects.attemptEvents('*', anyRef).replace(/\.1$/, '.*');
  const query = {
    stream: STREAMS.events,
    filters: [subjects.run('*'), subjects.task('*', '*'), attempts],
  };
  await readAll(connection, query, (message) => {
    const run = runOf(message.subject);
    const record = recordOf(message);
    if (run === null || record === null) return;
    const known = folds.get(run) ?? createRunFold(run);
    folds.set(run, known);
    applyToRun(known, record);
  });
  return [...folds.values()]
    .flatMap((fold) => {
      const view = runView(fold);
      return view === null ? [] : [{ sequence: fold.sequence, view, archived: fold.archived }];
    })
    .sort((a, b) => (a.view.id < b.view.id ? -1 : 1));
}

function runOf(subject: string): string | null {
  const parsed = parseSubject(subject);
  if (parsed?.kind === 'run' || parsed?.kind === 'task') return parsed.run;
  return parsed?.kind === 'attempt' ? parsed.ref.run : null;
}
