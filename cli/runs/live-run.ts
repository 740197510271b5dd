/** Runs that are live, folded here and now from BM_EVENTS: no coordinator is asked (I2). */
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { filters, parseSubject, subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { readAll, tail, type Tail } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { recordOf } from './record.ts';

/** The run as it is now; null where the log has none of this id. */
export async function readLiveRun(
  connection: MeshConnection,
  run: string,
): Promise<RunFold | null> {
  return foldOf(connection, run, filters.runEvents(run));
}

/**
 * What is said of the run as a whole: its suite, its state, ends of tasks. Of a large run that is a
 * thousandth of what its tasks say. Null as `readLiveRun`.
 */
export async function readLiveHead(
  connection: MeshConnection,
  run: string,
): Promise<RunFold | null> {
  return foldOf(connection, run, [subjects.run(run)]);
}

async function foldOf(
  connection: MeshConnection,
  run: string,
  filters: readonly string[],
): Promise<RunFold | null> {
  const fold = createRunFold(run);
  const query = { stream: STREAMS.events, filters };
  await readAll(connection, query, (message) => {
    const record = recordOf(message);
    if (record !== null) applyToRun(fold, record);
  });
  return fold.submitted === null ? null : fold;
}

/** Ids of the runs the log has, in order. */
export async function liveRunIds(connection: MeshConnection): Promise<string[]> {
  const ids = new Set<string>();
  const query = { stream: STREAMS.events, filters: [filters.allRuns()], lastPerSubject: true };
  await readAll(connection, query, (message) => {
    const subject = parseSubject(message.subject);
    if (subject?.kind === 'run') ids.add(subject.run);
  });
  return [...ids].sort();
}

export interface Follow {
  readonly fold: RunFold;
  /** After each record; `record` null when all that existed has been folded. */
  readonly onChange: (fold: RunFold, record: EventRecord | null) => void;
}

/** Folds on and on until closed. */
export function followRun(connection: MeshConnection, follow: Follow): Tail {
  const { fold, onChange } = follow;
  return tail(connection, {
    stream: STREAMS.events,
    filters: filters.runEvents(fold.run),
    onMessage: (message) => {
      const record = recordOf(message);
      if (record === null) return;
      applyToRun(fold, record);
      onChange(fold, record);
    },
    onCaughtUp: () => {
      onChange(fold, null);
    },
  });
}
