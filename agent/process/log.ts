/** How this folder tells its owner's log what it noticed; the owner passes its own. */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

export const silent: Log = () => undefined;
