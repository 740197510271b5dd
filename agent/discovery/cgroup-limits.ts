/**
 * What the cgroups this process is in allow it: CPUs, memory, which CPUs. Pure but for the reading of
 * files it is lent.
 *
 * A limit may stand at any level between the process's own cgroup and the root of the mount: the least
 * of them binds. v1 has a hierarchy for each controller, v2 one for all; where both are mounted
 * (hybrid), each controller is read where it is.
 */

import {
  dirsUp,
  parseMounts,
  parseOwnCgroups,
  type Mount,
} from '../process/cgroup/cgroup-mounts.ts';
import type { ReadText } from '../process/cgroup/cgroup-mounts.ts';

export type { ReadText };

export interface CgroupLimits {
  readonly version: 'v1' | 'v2' | 'hybrid' | 'none';
  /** In CPUs; null: no limit. */
  readonly cpus: number | null;
  readonly memoryBytes: number | null;
  /** `0-3,8`; null: not restricted, or not told. */
  readonly cpuset: string | null;
}

/** v1 says "no limit" by the greatest multiple of its page size. */
const NO_LIMIT_BYTES = 2 ** 62;

export function readCgroupLimits(read: ReadText): CgroupLimits {
  const mounts = parseMounts(read('/proc/self/mountinfo') ?? '');
  const paths = parseOwnCgroups(read('/proc/self/cgroup') ?? '');
  const levels = (controller: string): Levels => levelsOf(controller, mounts, paths);
  return {
    version: versionOf(mounts),
    cpus: least(levels('cpu'), (dir, isV2) => (isV2 ? quotaV2(read, dir) : quotaV1(read, dir))),
    memoryBytes: least(levels('memory'), (dir, isV2) =>
      bytesOf(read(`${dir}/${isV2 ? 'memory.max' : 'memory.limit_in_bytes'}`)),
    ),
    cpuset: cpusetOf(read, levels('cpuset')),
  };
}

function versionOf(mounts: readonly Mount[]): CgroupLimits['version'] {
  const hasV2 = mounts.some(({ type }) => type === 'cgroup2');
  const hasV1 = mounts.some(({ type, controllers }) => type === 'cgroup' && controllers.length > 0);
  if (hasV1) return hasV2 ? 'hybrid' : 'v1';
  return hasV2 ? 'v2' : 'none';
}

interface Levels {
  /** The process's own first, the root of the mount last. */
  readonly dirs: readonly string[];
  readonly isV2: boolean;
}

function levelsOf(
  controller: string,
  mounts: readonly Mount[],
  paths: ReadonlyMap<string, string>,
): Levels {
  const v1 = mounts.find((mount) => mount.controllers.includes(controller));
  const mount = v1 ?? mounts.find(({ type }) => type === 'cgroup2');
  if (mount === undefined) return { dirs: [], isV2: false };
  const own = paths.get(v1 === undefined ? '' : controller) ?? '/';
  return { dirs: dirsUp(mount, own), isV2: v1 === undefined };
}

function least(
  { dirs, isV2 }: Levels,
  limitOf: (dir: string, isV2: boolean) => number | null,
): number | null {
  const limits = dirs.flatMap((dir) => limitOf(dir, isV2) ?? []);
  return limits.length === 0 ? null : Math.min(...limits);
}

/** `150000 100000` or `max 100000`. */
function quotaV2(read: ReadText, dir: string): number | null {
  const [quota, period = '100000'] = (read(`${dir}/cpu.max`) ?? '').trim().split(/\s+/);
  return ratio(quota ?? '', period);
}

/** A quota of -1 is none. */
function quotaV1(read: ReadText, dir: string): number | null {
  const text = (name: string): string => (read(`${dir}/${name}`) ?? '').trim();
  return ratio(text('cpu.cfs_quota_us'), text('cpu.cfs_period_us'));
}

function ratio(quota: string, period: string): number | null {
  if (!/^\d{1,15}$/.test(quota) || !/^\d{1,15}$/.test(period)) return null;
  const cpus = Number(quota) / Number(period);
  return Number.isFinite(cpus) && cpus > 0 ? cpus : null;
}

function bytesOf(text: string | null): number | null {
  const digits = text?.trim() ?? '';
  if (!/^\d{1,20}$/.test(digits)) return null;
  const bytes = Number(digits);
  return bytes < NO_LIMIT_BYTES ? bytes : null;
}

/** What is effective counts the levels above; older kernels have it at the own level only. */
function cpusetOf(read: ReadText, { dirs, isV2 }: Levels): string | null {
  const names = isV2
    ? ['cpuset.cpus.effective', 'cpuset.cpus']
    : ['cpuset.effective_cpus', 'cpuset.cpus'];
  for (const dir of dirs) {
    for (const name of names) {
      const text = read(`${dir}/${name}`)?.trim() ?? '';
      if (/^[\d,-]{1,4096}$/.test(text)) return text;
    }
  }
  return null;
}

/** How many CPUs `0-3,8` are; null where it is no such list. */
export function countCpus(list: string): number | null {
  let count = 0;
  for (const part of list.trim().split(',')) {
    const [, from, to = from] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    if (from === undefined || Number(to) < Number(from)) return null;
    count += Number(to) - Number(from) + 1;
  }
  return count;
}
