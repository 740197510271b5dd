/**
 * The log of a live run, from BM_LOGS.
 *
 * Followed, until everything of the target has been printed:
 *
 *   bytes come -> printed at once
 *   target ended -> complete by its byte counts? done : the rest from its directory, once it is there
 *
 * Not followed, what is there now, and all of what has ended:
 *
 *   stored bytes printed, or a hole -> directory there? the rest from it
 *                                    : ended attempts not complete? as they come : done
 */
import { createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { logRef } from '#protocol/messages/attempt/log.ts';
import { filters, parseSubject } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { tail, type Tail } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { archivedDirectory, readArchivedRun } from '../runs/archive.ts';
import { followRun } from '../runs/live-run.ts';
import { archivedLog } from './archived-log.ts';
import type { LogCursors } from './log-cursor.ts';
import type { LogPrinter } from './log-printer.ts';
import {
  attemptsOf,
  hasEnded,
  isOf,
  statusText,
  unfinishedOf,
  type LogTarget,
  type Unfinished,
} from './log-status.ts';

export interface LogReading {
  readonly connection: MeshConnection;
  readonly resultsDir: string;
  readonly target: LogTarget;
  readonly cursors: LogCursors;
  readonly printer: LogPrinter;
  readonly note: (line: string) => void;
}

const LOOK_MS = 250;
/** After the end: how long bytes that were promised are waited for while none come. */
const PATIENCE_MS = 60_000;

export interface StoredLog {
  /** The run as it is then. */
  readonly fold: RunFold;
  /** What ended and could not be printed to its end. */
  readonly unfinished: readonly Unfinished[];
}

/**
 * What is stored now, and the rest of the attempts that have ended meanwhile. `known` is the run as
 * it was found: one that is purged before it is read again is still known by it.
 */
export async function readStoredLog(reading: LogReading, known: RunFold): Promise<StoredLog> {
  const { connection, resultsDir, target, cursors, printer } = reading;
  const folded = createRunFold(target.run);
  const current = (): RunFold => (folded.submitted === null ? known : folded);
  const unfinished = (fold: RunFold): Unfinished[] =>
    unfinishedOf(fold, target, (ref) => cursors.next(ref));
  const events = { tail: null as Tail | null };
  // From the start: how an attempt ends is known then, even if the run is purged while this prints.
  const eventsRead = new Promise<void>((resolve) => {
    events.tail = followRun(connection, {
      fold: folded,
      onChange: (_fold, record) => {
        if (record === null) resolve();
      },
    });
    void events.tail.ended.then(resolve);
  });
  const log = { tail: null as Tail | null };
  const logRead = new Promise<void>((resolve) => {
    log.tail = tailLog(reading, { onCaughtUp: resolve, onHole: resolve });
    void log.tail.ended.then(resolve);
  });
  try {
    await Promise.all([logRead, eventsRead]);
    let seen = printer.bytes;
    let lastMs = performance.now();
    for (;;) {
      const directory = await archivedDirectory(resultsDir, target.run);
      if (directory !== null) {
        await log.tail?.close();
        const fold = await readArchivedRun(directory, target.run);
        await printArchived(reading, directory, fold);
        return { fold, unfinished: unfinished(fold) };
      }
      const fold = current();
      const left = unfinished(fold);
      if (printer.bytes !== seen) {
        seen = printer.bytes;
        lastMs = performance.now();
      }
      const isHopeless = performance.now() - lastMs > PATIENCE_MS || connection.isClosed();
      if (isHopeless || left.every(({ isAway }) => isAway)) return { fold, unfinished: left };
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  } finally {
    await Promise.all([log.tail?.close(), events.tail?.close()]);
  }
}

/** All of it, as it comes; resolves with the run as it is then. */
export async function followLog(reading: LogReading, signal: AbortSignal): Promise<RunFold> {
  const { connection, resultsDir, target, cursors, printer, note } = reading;
  let fold = createRunFold(target.run);
  const state = { caughtUp: false };
  let told: string | null = null;
  let lastMs = performance.now();
  let seen = 0;
  let wake: () => void = () => undefined;
  const log = tailLog(reading, {
    onPrinted: () => {
      wake();
    },
  });
  const events = followRun(connection, {
    fold,
    onChange: (_fold, record) => {
      state.caughtUp ||= record === null;
      if (state.caughtUp) wake();
    },
  });
  signal.addEventListener('abort', () => {
    wake();
  });
  const tell = (): void => {
    const status = hasEnded(fold, target) ? null : statusText(fold, target, printer.bytes);
    if (status !== null && status !== told) note(status);
    told = status;
  };
  const isComplete = (): boolean =>
    hasEnded(fold, target) && unfinishedOf(fold, target, (ref) => cursors.next(ref)).length === 0;
  for (;;) {
    if (state.caughtUp) tell();
    if (signal.aborted || isComplete()) break;
    const directory = await archivedDirectory(resultsDir, target.run);
    if (directory !== null) {
      await log.close();
      fold = await readArchivedRun(directory, target.run);
      await printArchived(reading, directory, fold);
      break;
    }
    if (printer.bytes !== seen) {
      seen = printer.bytes;
      lastMs = performance.now();
    }
    if (hasEnded(fold, target) && performance.now() - lastMs > PATIENCE_MS) {
      note('the rest of the log does not come: its agent is away');
      break;
    }
    await new Promise<void>((resolve) => {
      wake = resolve;
      setTimeout(resolve, LOOK_MS);
    });
  }
  await Promise.all([log.close(), events.close()]);
  return fold;
}

/** What the cursors have not seen of the logs in a run's directory. */
export async function printArchived(
  reading: Pick<LogReading, 'target' | 'cursors' | 'printer'>,
  directory: string,
  fold: RunFold,
): Promise<void> {
  const { target, cursors, printer } = reading;
  for (const { ref } of attemptsOf(fold, target)) {
    for await (const item of archivedLog(directory, ref, cursors)) await printer.print(item);
  }
}

interface LogTailing {
  readonly onCaughtUp?: () => void;
  readonly onPrinted?: () => void;
  /** Bytes are not there but in the run's directory: nothing is printed from here any more. */
  readonly onHole?: () => void;
}

function tailLog(reading: LogReading, { onCaughtUp, onPrinted, onHole }: LogTailing): Tail {
  const { connection, resultsDir, target, cursors, printer } = reading;
  let isInDirectory = false;
  return tail(connection, {
    stream: STREAMS.logs,
    filters: [filters.logsOf(target.run, target.task ?? '*', target.n ?? '*')],
    onMessage: async (message) => {
      const subject = parseSubject(message.subject);
      if (subject?.kind !== 'log' || isInDirectory) return;
      const ref = logRef(subject.ref, message);
      if (!isOf(target, ref.rank)) return;
      if (onHole !== undefined && cursors.isAhead(ref, message)) {
        isInDirectory = (await archivedDirectory(resultsDir, target.run)) !== null;
        if (isInDirectory) {
          onHole();
          return;
        }
      }
      for (const item of cursors.take(ref, message)) await printer.print(item);
      onPrinted?.();
    },
    onCaughtUp: () => {
      onCaughtUp?.();
    },
  });
}
