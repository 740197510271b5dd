/** The CLI's own log: nothing, unless BENCHMESH_DEBUG asks for it on stderr. */
import { silentLog, type Log, type LogFields } from '#protocol/runtime/log.ts';

const say = (level: string) => (fields: LogFields, message: string) => {
  process.stderr.write(`${level} ${message} ${JSON.stringify(fields)}\n`);
};

const loudLog: Log = {
  debug: () => undefined,
  info: say('info'),
  warn: say('warn'),
  error: say('error'),
  child: () => loudLog,
};

export const debugLog: Log = (process.env['BENCHMESH_DEBUG'] ?? '') === '' ? silentLog : loudLog;
