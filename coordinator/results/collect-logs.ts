/**
 * Waits until the whole log of every attempt of a run is stored, and writes it while it comes: an
 * attempt may have exited before its agent has shipped the last of its log. The wait is bounded
 * only where nothing comes any more; what is missing then is said, never hidden.
 */
import { toError } from '#protocol/messages/errors.ts';
import { filters, parseSubject } from '#protocol/messages/subjects.ts';
import { STREAMS } from '#protocol/nats/stream-configs.ts';
import { tail } from '#protocol/nats/tail.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import { openKey } from '../runs/run-state.ts';
import { createLogArchive } from './log-archive.ts';

export interface ExpectedLog {
  readonly task: string;
  readonly n: number;
  readonly agent: string;
  /** Bytes of the attempt's log, from `attempt.exited`. */
  readonly logBytes: number;
}

export interface MissingLog extends ExpectedLog {
  readonly storedBytes: number;
  readonly reason: string;
}

export interface CollectLogs {
  readonly connection: MeshConnection;
  readonly clock: Clock;
  readonly run: string;
  readonly folder: string;
  readonly expected: readonly ExpectedLog[];
  readonly isUnreachable: (agent: string) => boolean;
  /** Silence after which a log is given up, its agent being unreachable. */
  readonly goneMs: number;
  readonly signal: AbortSignal;
}

/** Silence after which a log is given up although its agent is there. */
const STUCK_MS = 600_000;
const LOOK_MS = 1_000;

/** Resolves with the logs that did not become whole. Rejects on a disk error, or when aborted. */
export async function collectLogs(options: CollectLogs): Promise<MissingLog[]> {
  const { connection, clock, run, folder, signal } = options;
  const missing = new Map(
    options.expected
      .filter(({ logBytes }) => logBytes > 0)
      .map((log) => [openKey(log.task, log.n), log]),
  );
  if (missing.size === 0) return [];
  const archive = createLogArchive(folder);
  let lastMs = clock.now().monotonicMs;
  let hasReadAll = false;
  try {
    await new Promise<void>((resolve, reject) => {
      const finishIfDone = (): void => {
        if (missing.size === 0) done(resolve);
      };
      const reader = tail(connection, {
        stream: STREAMS.logs,
        filters: [filters.logsOf(run)],
        onMessage: async (message) => {
          const subject = parseSubject(message.subject);
          if (subject?.kind !== 'log') return;
          lastMs = clock.now().monotonicMs;
          const { task, n } = subject.ref;
          const next = await archive.write({
            task,
            n,
            data: message.data,
            header: (name) => message.header(name),
          });
          const expected = missing.get(openKey(task, n));
          if (expected === undefined || next < expected.logBytes) return;
          missing.delete(openKey(task, n));
          finishIfDone();
        },
        onCaughtUp: () => {
          hasReadAll = true;
        },
        onError: (error) => {
          done(() => {
            reject(toError(error));
          });
        },
      });
      const look = (): void => {
        timer = clock.after(LOOK_MS, look);
        if (!hasReadAll || !connection.isConnected()) lastMs = clock.now().monotonicMs;
        const silentMs = clock.now().monotonicMs - lastMs;
        const isGone = [...missing.values()].every(({ agent }) => options.isUnreachable(agent));
        if (silentMs > (isGone ? options.goneMs : STUCK_MS)) done(resolve);
      };
      let timer = clock.after(LOOK_MS, look);
      const onAbort = (): void => {
        done(() => {
          reject(new Error('not leading any more'));
        });
      };
      signal.addEventListener('abort', onAbort, { once: true });
      let ended = false;
      function done(settle: () => void): void {
        if (ended) return;
        ended = true;
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        // The handler that calls this is waited for by close(): settle after it.
        void reader.close().then(settle);
      }
      if (signal.aborted) onAbort();
    });
    return await giveUp(options, archive, missing.values());
  } finally {
    await archive.close();
  }
}

async function giveUp(
  { isUnreachable }: CollectLogs,
  archive: ReturnType<typeof createLogArchive>,
  missing: Iterable<ExpectedLog>,
): Promise<MissingLog[]> {
  const result: MissingLog[] = [];
  for (const log of missing) {
    const storedBytes = archive.next(log.task, log.n);
    await archive.truncate(log.task, log.n, log.logBytes);
    const reason = isUnreachable(log.agent)
      ? `agent ${log.agent} is unreachable and has not shipped the rest`
      : `nothing more came from agent ${log.agent}`;
    result.push({ ...log, storedBytes, reason });
  }
  return result;
}
