/** A component's log as pino writes it: structured lines to a file of bounded size, never to a terminal. */
import { lstatSync, renameSync } from 'node:fs';
import { destination, pino, type Logger } from 'pino';
import type { Log, LogFields } from './log.ts';

export interface FileLog {
  readonly log: Log;
  readonly close: () => void;
}

/** Of a file; with the one before it a log takes twice as much (I12). */
const LOG_FILE_BYTES = 32 * 1024 ** 2;

/**
 * Every line carries `base`. A file of `mostBytes` becomes `FILE.1`, over the one before it; what is no
 * regular file is left as it is. Throws the system error when the file cannot be opened.
 */
export function openFileLog(file: string, base: LogFields, mostBytes = LOG_FILE_BYTES): FileLog {
  // Synchronous: a line is in the file when the call returns, also in front of a kill -9.
  const stream = destination({ dest: file, append: true, sync: true });
  // A full disk must not end a component for want of a log line.
  stream.on('error', () => undefined);
  let bytes = bytesOf(file);
  const bounded = {
    write: (line: string): void => {
      if (bytes !== null && (bytes += Buffer.byteLength(line)) > mostBytes) {
        bytes = Buffer.byteLength(line);
        if (isMoved(file)) stream.reopen();
      }
      stream.write(line);
    },
  };
  const options = { base: { ...base }, timestamp: pino.stdTimeFunctions.isoTime };
  return {
    log: wrap(pino(options, bounded)),
    close: () => {
      stream.end();
    },
  };
}

/** Null: no regular file, or a link to who knows what. */
function bytesOf(file: string): number | null {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : null;
}

/** Where it cannot be, the file goes on: a log is not worth more trouble. */
function isMoved(file: string): boolean {
  try {
    renameSync(file, `${file}.1`);
    return true;
  } catch {
    return false;
  }
}

function wrap(logger: Logger): Log {
  return {
    debug: (fields, message) => {
      logger.debug(fields, message);
    },
    info: (fields, message) => {
      logger.info(fields, message);
    },
    warn: (fields, message) => {
      logger.warn(fields, message);
    },
    error: (fields, message) => {
      logger.error(fields, message);
    },
    child: (fields) => wrap(logger.child(fields)),
  };
}
