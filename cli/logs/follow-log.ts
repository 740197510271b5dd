/**
 * The log of a live run, from BM_LOGS, until everything of the target has been printed.
 *
 *   bytes come -> printed at once
 *   target ended -> complete by its byte counts? done : the rest from its directory, once it is there
 */
import { createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { filters, parseSubject } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { tail, type Tail } from '#protocol/nats/tail.ts';
import { STREAMS } from '#protocol/nats/streams.ts';
import { archivedDirectory, readArchivedRun } from '../runs/archive.ts';
import { followRun } from '../runs/live-run.ts';
import { archivedLog } from './archived-log.ts';
import type { LogCursors } from './log-cursor.ts';
import type { LogPrinter } from './log-printer.ts';
import { attemptsOf, hasEnded, statusText, type LogTarget } from './log-status.ts';

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

/** What is stored now. */
export async function readStoredLog(reading: LogReading): Promise<void> {
  await new Promise<void>((resolve) => {
    const stored = tailLog(reading, () => {
      resolve();
    });
    void stored.ended.then(resolve);
  });
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
  const log = tailLog(reading, undefined, () => {
    wake();
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
    hasEnded(fold, target) &&
    attemptsOf(fold, target).every(
      ({ ref, fold: attempt }) => cursors.next(ref) >= (attempt.exited?.logBytes ?? 0),
    );
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

function tailLog(reading: LogReading, onCaughtUp?: () => void, onPrinted?: () => void): Tail {
  const { connection, target, cursors, printer } = reading;
  const stored = tail(connection, {
    stream: STREAMS.logs,
    filters: [filters.logsOf(target.run, target.task ?? '*', target.n ?? '*')],
    onMessage: async (message) => {
      const subject = parseSubject(message.subject);
      if (subject?.kind !== 'log') return;
      for (const item of cursors.take(subject.ref, message)) await printer.print(item);
      onPrinted?.();
    },
    onCaughtUp: () => {
      if (onCaughtUp === undefined) return;
      void stored.close();
      onCaughtUp();
    },
  });
  return stored;
}
