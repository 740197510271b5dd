/**
 * Follows a run to its end: the end is its directory (or the word of the coordinator that it is
 * there, where results lie on another host).
 *
 * The log of a run is purged once its directory is there. A reader that was away meanwhile would
 * wait for ever, so the directory is looked for as well.
 */
import { createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { archivedDirectory, readArchivedRun } from './archive.ts';
import { followRun } from './live-run.ts';

export interface FollowOptions {
  readonly run: string;
  readonly resultsDir: string;
  readonly onChange: (fold: RunFold, record: EventRecord | null) => void;
  /** Ends the following; what was folded so far is the answer. */
  readonly signal?: AbortSignal;
}

export interface Followed {
  /** Of the directory where there is one. */
  readonly fold: RunFold;
  readonly directory: string | null;
}

const LOOK_MS = 500;
/** How long after `run.ended` a directory is waited for: nobody may lead. */
const ARCHIVE_MS = 60_000;

export async function followToEnd(
  connection: MeshConnection,
  options: FollowOptions,
): Promise<Followed> {
  const { run, resultsDir, onChange, signal } = options;
  const fold = createRunFold(run);
  let endedAt: number | null = null;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const follow = followRun(connection, {
    fold,
    onChange: (changed, record) => {
      onChange(changed, record);
      if (changed.state === 'ended') endedAt ??= performance.now();
      if (changed.archived !== null) finish();
    },
  });
  const look = async (): Promise<void> => {
    const waited = endedAt === null ? 0 : performance.now() - endedAt;
    if (waited > ARCHIVE_MS || (await archivedDirectory(resultsDir, run)) !== null) finish();
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  signal?.addEventListener('abort', finish);
  if (signal?.aborted === true) finish();
  await finished;
  clearInterval(timer);
  await follow.close();
  const directory = await archivedDirectory(resultsDir, run);
  if (directory === null) return { fold, directory: fold.archived };
  return { fold: await readArchivedRun(directory, run), directory };
}
