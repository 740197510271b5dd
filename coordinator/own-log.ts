/** The coordinator's own log: structured lines to a file, never to a terminal. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, MeshError, toError } from '#protocol/messages/errors.ts';
import { silentLog, type Log } from '#protocol/runtime/log.ts';
import { openFileLog } from '#protocol/runtime/pino-log.ts';

/** Throws MeshError `state_unwritable` or `disk_full` naming the file. */
export function openLog(file: string | null, id: string): Log {
  if (file === null) return silentLog;
  try {
    mkdirSync(dirname(file), { recursive: true });
    return openFileLog(file, { coordinator: id, pid: process.pid }).log;
  } catch (error) {
    const code = errnoOf(error) === 'ENOSPC' ? 'disk_full' : 'state_unwritable';
    throw new MeshError(code, `log file ${file}: ${toError(error).message}`, error);
  }
}
