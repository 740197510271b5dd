/**
 * Archives runs one after the other, each until it succeeds: a full disk is said and waited out,
 * nothing is lost by it, since the run's subjects are purged only after its directory is there.
 * One that waits for its logs does not hold up the others: their purge may be what it waits for.
 */
import { errnoOf, toError } from '#protocol/messages/errors.ts';
import { backoffMs } from '#protocol/runtime/backoff.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { pause } from '#protocol/nats/connection.ts';
import { archiveRun, type ArchiveEnvironment, type ArchiveJob } from './archive.ts';

export interface Archivist {
  /** Queues a run; `onArchived` is called with its directory once that is there. */
  archive(job: ArchiveJob): void;
  /** What it waits for at present, one line each. */
  notices(): string[];
}

const RETRY = { firstMs: 1_000, maxMs: 8_000, factor: 2 } as const;

export interface ArchivistOptions {
  readonly log: Log;
  readonly onArchived: (run: string, directory: string) => void;
}

export function createArchivist(env: ArchiveEnvironment, options: ArchivistOptions): Archivist {
  const notices = new Map<string, string>();
  let last: Promise<void> = Promise.resolve();

  const work = async (job: ArchiveJob, pass: () => void): Promise<void> => {
    const onWaiting = (reason: string | null): void => {
      pass();
      if (reason === null) notices.delete(job.run);
      else notices.set(job.run, `run ${job.run} cannot be archived yet: ${reason}`);
    };
    const log = options.log.child({ run: job.run });
    for (let attempt = 0; !env.signal.aborted; attempt += 1) {
      try {
        const directory = await archiveRun({ ...env, onWaiting }, job);
        notices.delete(job.run);
        log.info({ directory }, 'run archived');
        options.onArchived(job.run, directory);
        return;
      } catch (error) {
        // Aborted by the abort listener of the environment, which the compiler does not see.
        if (env.signal.aborted as boolean) return;
        const what = errnoOf(error) === 'ENOSPC' ? 'the disk is full' : toError(error).message;
        notices.set(job.run, `run ${job.run} cannot be archived yet: ${what} (${env.resultsDir})`);
        log.error({ err: toError(error).message, attempt }, 'archiving failed, trying again');
        await pause(backoffMs(RETRY, Math.min(attempt, 10), 1), env.signal);
      }
    }
  };

  return {
    archive: (job) => {
      last = last.then(
        () =>
          new Promise((resolve) => {
            void work(job, resolve).then(resolve);
          }),
      );
    },
    notices: () => [...notices.values()],
  };
}
