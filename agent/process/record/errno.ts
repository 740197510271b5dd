/** Names of errno numbers, and which of them are the disk's doing. */
import { constants } from 'node:os';

const NAMES = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => name !== 'EWOULDBLOCK' && name !== 'EOPNOTSUPP')
    .map(([name, number]): [number, string] => [number, name]),
);

/** Linux has one that Node does not name, and execve gives it for a broken binary. */
const ELIBBAD = 80;

export function errnoName(number: number): string {
  return NAMES.get(number) ?? (number === ELIBBAD ? 'ELIBBAD' : `E${number}`);
}

/** No room: for bytes, for files, or within a quota. */
export function isFull(errno: string | null): boolean {
  return errno === 'ENOSPC' || errno === 'EDQUOT';
}

/** Or the disk has become read-only. */
export function isDiskTrouble(errno: string | null): boolean {
  return isFull(errno) || errno === 'EROFS';
}
