/**
 * Waits until the whole log of every attempt of a run is stored, and writes it while it comes: an
 * attempt may have exited before its agent has shipped the last of its log. The wait is bounded
 * only where nothing comes any more; what is missing then is said, never hidden.
 *
 * A full stream takes nothing: then what was read is salvaged and purged, which makes room for the
 * rest (log-salvage.ts). While it stays full, because of others, silence says nothing of an agent
 * that is there.
 */
import { MeshError, toError } from '#protocol/messages/errors.ts';
import { attemptName } from '#protocol/messages/ids.ts';
import { filters, parseSubject } from '#protocol/messages/subjects.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { streamState } from '#protocol/nats/streams/stream-read.ts';
import { tail } from '#protocol/nats/streams/tail.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import { createLogArchive, type LogName, type StoredPiece } from './log-archive.ts';
import { createLogSalvage } from './log-salvage.ts';

export interface ExpectedLog {
  readonly task: string;
  readonly n: number;
  readonly agent: string;
  /** Of a rank of a gang. */
  readonly rank?: number | undefined;
  readonly since?: number | undefined;
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
  readonly resultsDir: string;
  readonly onWaiting?: (reason: string | null) => void;
}

/** Silence after which a log is given up although its agent is there. */
const STUCK_MS = 600_000;
const LOOK_MS = 1_000;
/** Less room than a message may need. */
const FULL_BYTES = 128 * 1024;

/** Resolves with the logs that did not become whole. Rejects on a disk error, or when aborted. */
export async function collectLogs(options: CollectLogs): Promise<MissingLog[]> {
  const { connection, clock, run, folder, signal } = options;
  const missing = new Map(
    options.expected
      .filter(({ logBytes }) => logBytes > 0)
      .map((log) => [`${log.task}#${nameOf(log)}`, log]),
  );
  if (missing.size === 0) return [];
  const ranks = new Map(
    options.expected.flatMap((log) =>
      log.rank === undefined ? [] : [[placeOf(log), nameOf(log)]],
    ),
  );
  const nameIn = (of: { task: string; n: number; agent: string }): LogName =>
    ranks.get(placeOf(of)) ?? of.n;
  const archive = createLogArchive(folder);
  let lastMs = clock.now().monotonicMs;
  let hasReadAll = false;
  let salvaging: Promise<void> = Promise.resolve();
  const write = async (piece: StoredPiece): Promise<void> => {
    const n = nameIn(piece);
    const next = await archive.write({ ...piece, n });
    const key = `${piece.task}#${n}`;
    const expected = missing.get(key);
    if (expected !== undefined && next >= expected.logBytes) missing.delete(key);
  };
  const salvage = createLogSalvage({
    ...options,
    isWhole: (of) => !missing.has(`${of.task}#${nameIn(of)}`),
  });
  try {
    await salvage.read(write);
    await new Promise<void>((resolve, reject) => {
      let ended = false;
      const finishIfDone = (): void => {
        if (missing.size === 0) done(resolve);
      };
      const fail = (error: unknown): void => {
        done(() => {
          reject(toError(error));
        });
      };
      const reader = tail(connection, {
        stream: STREAMS.logs,
        filters: [filters.logsOf(run)],
        onMessage: async (message) => {
          const subject = parseSubject(message.subject);
          if (subject?.kind !== 'log') return;
          lastMs = clock.now().monotonicMs;
          const { task, n } = subject.ref;
          const { data } = message;
          const { agent } = subject;
          await write({ task, n, agent, data, header: (name) => message.header(name) });
          finishIfDone();
        },
        onCaughtUp: () => {
          hasReadAll = true;
        },
        onError: fail,
      });
      const makeRoom = async (): Promise<void> => {
        const { bytes, maxBytes } = await streamState(connection, STREAMS.logs);
        const isFull = maxBytes > 0 && maxBytes - bytes < FULL_BYTES;
        options.onWaiting?.(isFull ? `${STREAMS.logs} is full, the rest of its logs waits` : null);
        if (!isFull) return;
        await salvage.save(reader.sequence());
        if (!isGone()) lastMs = clock.now().monotonicMs;
      };
      const isGone = (): boolean =>
        [...missing.values()].every(({ agent }) => options.isUnreachable(agent));
      const look = (): void => {
        if (!hasReadAll || !connection.isConnected()) lastMs = clock.now().monotonicMs;
        const silentMs = clock.now().monotonicMs - lastMs;
        if (silentMs > (isGone() ? options.goneMs : STUCK_MS)) {
          done(resolve);
          return;
        }
        salvaging = hasReadAll && connection.isConnected() ? makeRoom() : Promise.resolve();
        salvaging.then(
          () => {
            if (!ended) timer = clock.after(LOOK_MS, look);
          },
          (error: unknown) => {
            // A server that does not answer is asked again; a disk that does not take it is said.
            if (!(error instanceof MeshError)) fail(error);
            else if (!ended) timer = clock.after(LOOK_MS, look);
          },
        );
      };
      let timer = clock.after(LOOK_MS, look);
      const onAbort = (): void => {
        done(() => {
          reject(new Error('not leading any more'));
        });
      };
      signal.addEventListener('abort', onAbort, { once: true });
      finishIfDone();
      function done(settle: () => void): void {
        if (ended) return;
        ended = true;
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        // The handler that calls this is waited for by close(): settle after it.
        void Promise.allSettled([reader.close(), salvaging]).then(settle);
      }
      if (signal.aborted) onAbort();
    });
    await salvage.check();
    return await giveUp(options, archive, missing.values());
  } finally {
    await archive.close();
  }
}

function nameOf(log: Pick<ExpectedLog, 'n' | 'rank' | 'since'>): LogName {
  return log.rank === undefined ? log.n : attemptName(log);
}

function placeOf({ task, n, agent }: Pick<ExpectedLog, 'task' | 'n' | 'agent'>): string {
  return `${task}#${n}@${agent}`;
}

async function giveUp(
  { isUnreachable }: CollectLogs,
  archive: ReturnType<typeof createLogArchive>,
  missing: Iterable<ExpectedLog>,
): Promise<MissingLog[]> {
  const result: MissingLog[] = [];
  for (const log of missing) {
    const storedBytes = archive.next(log.task, nameOf(log));
    await archive.truncate(log.task, nameOf(log), log.logBytes);
    const reason = isUnreachable(log.agent)
      ? `agent ${log.agent} is unreachable and has not shipped the rest`
      : `nothing more came from agent ${log.agent}`;
    result.push({ ...log, storedBytes, reason });
  }
  return result;
}
