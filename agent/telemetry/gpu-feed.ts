/** What a host's GPUs do, whoever made them: asked each second while samples are taken, never otherwise (I10). */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { GpuProcess } from '#protocol/messages/agent/hardware.ts';
import type { GpuSample } from '#protocol/messages/agent/telemetry.ts';

export type GpuReading = Omit<GpuSample, 'foreign'>;

/** Who has a GPU open, by its id: null where its tool does not tell; a GPU that nobody uses is not in it. */
export type GpuUsers = ReadonlyMap<string, readonly GpuProcess[] | null>;

export interface GpuTake {
  readonly gpus: readonly GpuReading[];
  /** Why there are none; null where there are, or where there is no tool. */
  readonly reason: string | null;
  /** Null where it is not known. */
  readonly users: GpuUsers | null;
}

/** Nothing of it rejects or throws, whatever the tool does: then there are no values, and a reason. */
export interface GpuFeed {
  /** Of the process that goes on reading the GPUs; null for none. */
  readonly pid: number | null;
  begin(nowMs: number): void;
  /** What was read since the last call. */
  take(nowMs: number): GpuTake;
  end(): void;
}

export const NOTHING: GpuTake = { gpus: [], reason: null, users: null };

/** As one; a host has one vendor's, but for odd ones. Of several, the first may have a process. */
export function joinedFeeds(feeds: readonly GpuFeed[]): GpuFeed {
  return {
    get pid() {
      return feeds.map(({ pid }) => pid).find((pid) => pid !== null) ?? null;
    },
    begin: (nowMs) => {
      for (const feed of feeds) feed.begin(nowMs);
    },
    take: (nowMs) => joined(feeds.map((feed) => feed.take(nowMs))),
    end: () => {
      for (const feed of feeds) feed.end();
    },
  };
}

function joined(takes: readonly GpuTake[]): GpuTake {
  const gpus = takes.flatMap((take) => take.gpus);
  const known = takes.flatMap(({ users }) => users ?? []);
  return {
    gpus,
    reason: takes.map(({ reason }) => reason).find((reason) => reason !== null) ?? null,
    users: known.length === 0 ? null : new Map(known.flatMap((users) => [...users])),
  };
}

/** Looked up, not started: most hosts have no GPU, and a start that finds nothing costs 2 ms. */
export function isOnPath(tool: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((dir) => {
    try {
      accessSync(join(dir === '' ? '.' : dir, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
