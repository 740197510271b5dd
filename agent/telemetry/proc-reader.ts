/**
 * Reads small files of /proc and /sys: synchronous with one reused buffer (facts: six times cheaper than
 * asynchronous), 6 to 16 us a file.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';

/** The text of a file; null where it cannot be read: gone, or another user's. */
export type ReadProc = (path: string) => string | null;
/** Names in a folder; none where it cannot be read. */
export type ListProc = (path: string) => readonly string[];

export interface ProcFiles {
  readonly read: ReadProc;
  readonly list: ListProc;
  readonly pageBytes: number;
}

const CHUNK_BYTES = 65_536;
/** A process with more children than this holds lists no more. */
const MOST_BYTES = 4 * 1_024 * 1_024;
/** getauxval(3). */
const AT_PAGESZ = 6n;
const buffer = Buffer.allocUnsafe(CHUNK_BYTES);

export const realProc: ProcFiles = {
  read: (path) => {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch {
      return null;
    }
    try {
      let text = '';
      for (;;) {
        const size = readSync(fd, buffer, 0, CHUNK_BYTES, null);
        text += buffer.toString('latin1', 0, size);
        // The kernel fills a page at a time: less than one is the end.
        if (size < 4_096 || text.length > MOST_BYTES) return text;
      }
    } catch {
      return null;
    } finally {
      closeSync(fd);
    }
  },
  list: (path) => {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  },
  pageBytes: pageBytes(),
};

/** From the auxiliary vector the kernel gave this process; arm64 kernels differ in it. */
function pageBytes(): number {
  try {
    const vector = new BigUint64Array(new Uint8Array(readFileSync('/proc/self/auxv')).buffer);
    for (let at = 0; at + 1 < vector.length; at += 2) {
      if (vector[at] === AT_PAGESZ) return Number(vector[at + 1]);
    }
  } catch {
    // A kernel that does not tell: what nearly all have.
  }
  return 4_096;
}

/** Whole disks with a device behind them: not partitions, loops, RAM disks, or volumes on other disks. */
export function realDisks({ list }: ProcFiles): Set<string> {
  const names = list('/sys/block').filter((name) => list(`/sys/block/${name}/device`).length > 0);
  return new Set(names);
}
