/**
 * Follows a run to its end: the end is its directory (or the word of the coordinator that it is
 * there, where results lie on another host).
 *
 * The log of a run is purged once its directory is there. A reader that was away meanwhile would
 * wait for ever, so the directory is looked for as well. Where it does not come, the coordinator is
 * asked why, and that is said once (a full disk).
 */
import { InfoReply } from '#protocol/messages/run/api.ts';
import { createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';
import { terminal } from '../output/terminal.ts';
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
  /** Why there is no directory, if the coordinator knows; has been said. */
  readonly notice: string | null;
}

const LOOK_MS = 500;
/** How long after `run.ended` a directory is waited for: nobody may lead. */
const ARCHIVE_MS = 60_000;
/** How long after `run.ended` the coordinator is asked, and how long its reason may stand. */
const ASK_MS = 3_000;
const NOTICE_MS = 8_000;

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
  let notice: string | null = null;
  let noticedAt = 0;
  const look = async (): Promise<void> => {
    if ((await archivedDirectory(resultsDir, run)) !== null) {
      finish();
      return;
    }
    if (endedAt === null) return;
    const waited = performance.now() - endedAt;
    if (waited > ARCHIVE_MS || (notice !== null && performance.now() - noticedAt > NOTICE_MS))
      finish();
    if (waited < ASK_MS) return;
    const before = notice;
    notice = await noticeOf(connection, run);
    if (notice === null || before !== null) return;
    noticedAt = performance.now();
    terminal.note(notice);
  };
  let looking: Promise<void> | null = null;
  const timer = setInterval(() => {
    looking ??= look().finally(() => {
      looking = null;
    });
  }, LOOK_MS);
  signal?.addEventListener('abort', finish);
  if (signal?.aborted === true) finish();
  await finished;
  clearInterval(timer);
  await follow.close();
  const directory = await archivedDirectory(resultsDir, run);
  if (directory === null)
    return { fold, directory: fold.archived, notice: fold.archived === null ? notice : null };
  return { fold: await readArchivedRun(directory, run), directory, notice: null };
}

/** What keeps the coordinator from archiving the run; null where nothing does, or none leads. */
async function noticeOf(connection: MeshConnection, run: string): Promise<string | null> {
  try {
    const { notices = [] } = InfoReply.parse(await call(connection, 'info', {}, 1_000));
    return notices.find((line) => line.includes(run)) ?? null;
  } catch {
    return null; // asked again at the next look
  }
}
