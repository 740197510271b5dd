/** A component's own log. Library code gets one injected; nothing here writes to a terminal. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A log whose every line also carries `fields` (run, task, attempt). */
  child(fields: LogFields): Log;
}

/** A log that goes nowhere: for tests and for the CLI. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
