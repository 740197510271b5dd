/**
 * What the agent itself costs the host (I10): its process, and those it started that are no attempt's:
 * the spawner of meshrun, vendors' tools. A meshrun of a step counts too, but is found with its step.
 */
import { parseChildren, parseStat, parseStatm, MS_PER_TICK } from './proc-text.ts';
import type { ProcFiles } from './proc-reader.ts';
import { readTree, rootAt } from './process-tree.ts';

export interface OwnUse {
  /** Since the agent's begin: what ends hands its time on to who waited for it. */
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/** `toolPid`: of the helper whose processes all count; null for none. */
export function readOwn(files: ProcFiles, pid: number, toolPid: number | null): OwnUse {
  const { read, pageBytes } = files;
  const own = parseStat(read(`/proc/${pid}/stat`) ?? '');
  let cpuMs = ((own?.ticks ?? 0) + (own?.reapedTicks ?? 0)) * MS_PER_TICK;
  let rssBytes = residentBytes(files, pid);
  for (const child of parseChildren(read(`/proc/${pid}/task/${pid}/children`) ?? '')) {
    const root = child === toolPid ? rootAt(files, child, false) : null;
    const tool = root === null ? null : readTree(files, root);
    const ticks = (): number => parseStat(read(`/proc/${child}/stat`) ?? '')?.ticks ?? 0;
    cpuMs += tool?.cpuMs ?? ticks() * MS_PER_TICK;
    rssBytes += tool?.rssBytes ?? residentBytes(files, child);
  }
  return { cpuMs, rssBytes };

  function residentBytes({ read: from }: ProcFiles, of: number): number {
    return (parseStatm(from(`/proc/${of}/statm`) ?? '')?.resident ?? 0) * pageBytes;
  }
}
