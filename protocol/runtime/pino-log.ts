/** A component's log as pino writes it: structured lines to a file, never to a terminal. */
import { destination, pino, type Logger } from 'pino';
import type { Log, LogFields } from './log.ts';

export interface FileLog {
  readonly log: Log;
  close(): void;
}

/** Every line carries `base`. Throws the system error when the file cannot be opened. */
export function openFileLog(file: string, base: LogFields): FileLog {
  // Synchronous: a line is in the file when the call returns, also in front of a kill -9.
  const stream = destination({ dest: file, append: true, sync: true });
  // A full disk must not end a component for want of a log line.
  stream.on('error', () => undefined);
  const logger = pino({ base: { ...base }, timestamp: pino.stdTimeFunctions.isoTime }, stream);
  return {
    log: wrap(logger),
    close: () => {
      stream.end();
    },
  };
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
