/** Values for people. Machines get `--json`. */
import type { AxisValue } from '#protocol/messages/ids.ts';

/** `812 ms`, `1.2 s`, `3 m 05 s`, `2 h 03 m`, `4 d 07 h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3_600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

/**
 * A time that its owner has said and that has an end, or that goes on: then it is of the last event,
 * since nothing that is shown ticks with the reader's clock (docs/decisions/0004).
 */
export function elapsed(ms: number, hasEnded: boolean): string {
  return hasEnded ? duration(ms) : `> ${duration(ms)}`;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** Five significant digits and no exponent where it can be avoided: `812.50`, `12345`, `0.0012345`. */
export function quantity(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e15 || size < 1e-6) return value.toExponential(3);
  if (Number.isInteger(value) && size < 1e15) return String(value);
  const digits = Math.max(0, 4 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(10, digits));
}

/** `1.5 GiB`. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let at = 0;
  while (value >= 1_024 && at < units.length - 1) {
    value /= 1_024;
    at += 1;
  }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at] ?? ''}`;
}

/** `algorithm=sha256 bytes=16384`. */
export function axesText(axes: Readonly<Record<string, AxisValue>>): string {
  return Object.entries(axes)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

/** The cell and its repeat, the way progress shows a task: `sha256 16384 #2`. */
export function cellText(axes: Readonly<Record<string, AxisValue>>, repeat: number): string {
  const values = Object.values(axes).map(String);
  return [...values, `#${repeat}`].join(' ');
}

/** `2026-02-13 14:30:45Z` of an ISO date; '-' for none. Always UTC, like run ids. */
export function date(iso: string | null): string {
  return iso === null ? '-' : `${iso.slice(0, 19).replace('T', ' ')}Z`;
}

export function plural(count: number, noun: string): string {
  const many = /(s|sh|ch|x)$/.test(noun) ? `${noun}es` : `${noun}s`;
  return `${count} ${count === 1 ? noun : many}`;
}

export const dash = (value: string | null | undefined): string =>
  value === null || value === undefined || value === '' ? '-' : value;
