/** The agent's own log: JSON lines by pino, to a file, never to a terminal. */
import { destination, pino, type Logger } from 'pino';
import type { Log } from '#protocol/runtime/log.ts';

export interface AgentLog {
  readonly log: Log;
  close(): void;
}

/** Throws the system error when the file cannot be opened. */
export function openAgentLog(file: string, agent: string): AgentLog {
  // Synchronous: a line is in the file when the call returns, also in front of a kill -9.
  const stream = destination({ dest: file, sync: true });
  // A full disk must not end the agent for want of a log line.
  stream.on('error', () => undefined);
  const logger = pino({ base: { agent }, timestamp: pino.stdTimeFunctions.isoTime }, stream);
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
