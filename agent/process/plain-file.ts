/**
 * Opens and reads files that a step's own processes can put anything in the place of: a FIFO, a folder, a
 * link. What is no file, or may not be read, is as if it were not there, and nothing waits for it.
 */
import { appendFileSync, closeSync, constants, openSync, readSync } from 'node:fs';
import { errnoOf } from '#protocol/messages/errors.ts';

const { O_RDONLY, O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOFOLLOW } = constants;

/** Nothing there, a link, a socket, or closed to us. Not EMFILE, EIO: those say nothing about the file. */
const NOT_THERE: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'ENXIO',
  'EACCES',
  'EPERM',
]);
/** It is no file after all. */
const NOT_READ: ReadonlySet<string> = new Set(['EISDIR', 'EAGAIN', 'EINVAL', 'ESPIPE']);

/** Null where there is none that can be opened. Throws system errors of the host. */
export function openPlain(path: string): number | null {
  try {
    return openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  } catch (error) {
    if (NOT_THERE.has(errnoOf(error) ?? '')) return null;
    throw error;
  }
}

/** How many bytes were read into `buffer` from `position`; 0 also for what is no file. */
export function readPlain(
  fd: number,
  buffer: Buffer,
  { at = 0, position }: { readonly at?: number; readonly position: number },
): number {
  try {
    return readSync(fd, buffer, at, buffer.length - at, position);
  } catch (error) {
    if (NOT_READ.has(errnoOf(error) ?? '')) return 0;
    throw error;
  }
}

/** The first `mostBytes` of a file, or null where there is none. Throws system errors of the host. */
export function readPlainFile(path: string, mostBytes: number): Buffer | null {
  const fd = openPlain(path);
  if (fd === null) return null;
  try {
    return readFirst(fd, mostBytes);
  } finally {
    closeSync(fd);
  }
}

/** The first `mostBytes` of an open file. */
export function readFirst(fd: number, mostBytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < mostBytes;) {
    const part = Buffer.allocUnsafe(Math.min(FIRST_BYTES, mostBytes - at));
    const size = readPlain(fd, part, { position: at });
    if (size === 0) break;
    parts.push(part.subarray(0, size));
    at += size;
  }
  return parts.length === 1 ? (parts[0] ?? NONE) : Buffer.concat(parts);
}

const FIRST_BYTES = 8192;
const NONE = Buffer.alloc(0);

/** Appends to a file, or makes it. Throws system errors, never waits for a reader. */
export function appendPlain(path: string, text: string): void {
  const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOFOLLOW, 0o644);
  try {
    appendFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
