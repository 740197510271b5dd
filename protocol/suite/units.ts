/** Durations, sizes and signals as people write them. */

const DURATION =
  /^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?$/;

/** `1m30s`, `250ms`, `1.5h` in ms; null when it is none. */
export function parseDuration(text: string): number | null {
  const match = text === '' ? null : DURATION.exec(text);
  if (match === null) return null;
  const [, h = '0', m = '0', s = '0', ms = '0'] = match;
  const total = Math.round(
    Number(h) * 3_600_000 + Number(m) * 60_000 + Number(s) * 1000 + Number(ms),
  );
  return Number.isSafeInteger(total) ? total : null;
}

const SIZE = /^(\d+(?:\.\d+)?)(B|kB|KB|MB|GB|KiB|MiB|GiB)$/;
const SCALE: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** `64MiB`, `1.5GB` in bytes; null when it is none. */
export function parseSize(text: string): number | null {
  const [, value, unit] = SIZE.exec(text) ?? [];
  if (value === undefined || unit === undefined) return null;
  const bytes = Math.round(Number(value) * (SCALE[unit] ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** Signals that may ask a benchmark to end. */
const STOP_SIGNALS = ['TERM', 'INT', 'HUP', 'QUIT', 'USR1', 'USR2', 'KILL'] as const;
export const STOP_SIGNAL_NAMES: readonly string[] = STOP_SIGNALS;

/** `TERM` or `SIGTERM` as `SIGTERM`; null for one that cannot be a stop signal. */
export function parseSignal(text: string): string | null {
  const name = text.replace(/^SIG/, '');
  return STOP_SIGNAL_NAMES.includes(name) ? `SIG${name}` : null;
}
