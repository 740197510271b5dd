/** The coordinator's own log: structured lines to a file, never to a terminal. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino, type Logger } from 'pino';
import { errnoOf, MeshError, toError } from '#protocol/messages/errors.ts';
import { silentLog, type Log } from '#protocol/runtime/log.ts';

/** Throws MeshError `state_unwritable` or `disk_full` naming the file. */
export function openLog(file: string | null, id: string): Log {
  if (file === null) return silentLog;
  try {
    mkdirSync(dirname(file), { recursive: true });
    const destination = pino.destination({ dest: file, append: true, sync: true });
    return wrap(pino({ base: { coordinator: id, pid: process.pid } }, destination));
  } catch (error) {
    const code = errnoOf(error) === 'ENOSPC' ? 'disk_full' : 'state_unwritable';
    throw new MeshError(code, `log file ${file}: ${toError(error).message}`, error);
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
