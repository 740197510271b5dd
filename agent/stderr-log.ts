/**
 * The agent's log for people: info and above as lines on standard error, beside the structured one in
 * its file. What systemd keeps in its journal, and what a terminal shows.
 */
import { toError } from '#protocol/messages/errors.ts';
import type { Log, LogFields } from '#protocol/runtime/log.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';
type Write = (line: string) => void;

/** Both at once. */
export function withLines(log: Log, write: Write, base: LogFields = {}): Log {
  const at =
    (level: Level) =>
    (fields: LogFields, message: string): void => {
      log[level](fields, message);
      if (level !== 'debug') write(logLine(level, message, { ...base, ...fields }));
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => withLines(log.child(fields), write, { ...base, ...fields }),
  };
}

/** `warn: server not reachable, trying on url=nats://mesh:4222`; what is no plain value is left out. Pure. */
export function logLine(level: Level, message: string, fields: LogFields): string {
  const shown = Object.entries(fields).flatMap(([name, value]) => {
    const text = textOf(value);
    return text === null ? [] : [`${name}=${text}`];
  });
  const prefix = level === 'info' ? '' : `${level}: `;
  return `${prefix}${[message, ...shown].join(' ')}`;
}

function textOf(value: unknown): string | null {
  if (value instanceof Error) return quoted(toError(value).message);
  if (typeof value === 'string') return quoted(value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

function quoted(text: string): string {
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
