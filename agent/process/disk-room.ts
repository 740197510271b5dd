/** What the disk of a folder has left, in bytes and in inodes. */
import { statfsSync } from 'node:fs';

export interface DiskRoom {
  readonly bytes: number;
  /** Null where the file system makes them as they are needed. */
  readonly inodes: number | null;
}

/** 0 of all where it cannot be told. */
export function diskRoom(dir: string): DiskRoom {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(dir);
    return { bytes: bavail * bsize, inodes: files === 0 ? null : ffree };
  } catch {
    return { bytes: 0, inodes: null };
  }
}

/** Below this nothing new is started: what runs needs the rest to report its end. */
const LEAST_BYTES = 2 * 1024 * 1024;
/** An attempt of one step makes about ten files and folders. */
const LEAST_INODES = 32;

/** Why nothing new is started, or null. Pure. */
export function lackOf({ bytes, inodes }: DiskRoom): string | null {
  if (inodes !== null && inodes < LEAST_INODES)
    return `the disk of the agent's state folder is out of inodes (${inodes} free)`;
  if (bytes < LEAST_BYTES) return fullText(bytes);
  return null;
}

export function fullText(bytes: number): string {
  return `the disk of the agent's state folder is full (${Math.floor(bytes / 1024)} KiB free)`;
}

/** What to say of a folder in which nothing could be made; its disk says the same for both. */
export function noRoomText(dir: string | null): string {
  const lack = dir === null ? null : lackOf(diskRoom(dir));
  return lack ?? "the disk of the agent's state folder is full";
}
