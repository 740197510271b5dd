/**
 * What the processes of a step use together, as the cgroup of its own says (design section 5): the CPU time of
 * all that ever was in it, to the microsecond, however it ended and whoever waited for it; of memory what the
 * kernel charges, where that controller is delegated. The rest is of the living, whom the cgroup lists:
 * nobody is asked thread by thread for children, as a walk must (process-tree.ts).
 *
 * Root may move a process into another cgroup, where its time is counted then. So each process is asked for
 * the children of its main thread; where one is elsewhere, the cgroup says too little.
 */
import { basename, join } from 'node:path';
import type { ProcFiles } from './proc-reader.ts';
import {
  MS_PER_TICK,
  parseCgroupCpuMs,
  parseCgroupPath,
  parseChildren,
  parseCount,
  parseIo,
  parsePids,
  parseStatm,
} from './proc-text.ts';
import {
  MOST_PROCESSES,
  statOf,
  type StepCgroup,
  type TreeRoot,
  type TreeUse,
} from './process-tree.ts';

/** A step that makes cgroups of its own makes few. */
const DEEPEST = 16;

/** Null where the root is gone; `elsewhere` where the cgroup does not say all, or cannot be read. */
export function readCgroupUse(
  files: ProcFiles,
  root: TreeRoot,
  { dir, isCharged }: StepCgroup,
): TreeUse | 'elsewhere' | null {
  const helper = statOf(files, root.pid);
  if (helper?.startTime !== root.startTime) return null;
  const cpuMs = parseCgroupCpuMs(files.read(join(dir, 'cpu.stat')) ?? '');
  const procs = files.read(join(dir, 'cgroup.procs'));
  if (cpuMs === null || procs === null) return 'elsewhere';
  const members = new Members(files, dir, parsePids(procs));
  if (!members.haveAllChildrenOf(root.pid) || !members.look()) return 'elsewhere';
  return {
    ...members.use(),
    cpuMs,
    chargedBytes: isCharged ? chargedTo(files, dir) : null,
    helperMs: helper.ticks * MS_PER_TICK,
    helperRssBytes: residentOf(files, root.pid).rss,
    isCpuCut: false,
  };
}

export function chargedTo({ read }: ProcFiles, dir: string): number | null {
  return parseCount(read(join(dir, 'memory.current')) ?? '');
}

class Members {
  readonly #files: ProcFiles;
  readonly #dir: string;
  readonly #pids: Set<number>;
  readonly #io = new Map<number, { read: number; written: number }>();
  #rssBytes = 0;
  #privateBytes = 0;
  #hasBelow = false;

  constructor(files: ProcFiles, dir: string, pids: readonly number[]) {
    this.#files = files;
    this.#dir = dir;
    this.#pids = new Set(pids);
  }

  /** Whether all children of its main thread are in the cgroup, or in one below it. */
  haveAllChildrenOf(pid: number): boolean {
    const children = parseChildren(this.#files.read(`/proc/${pid}/task/${pid}/children`) ?? '');
    return children.every((child) => this.#pids.has(child) || this.#isHere(child));
  }

  /** Looks at each of them; false where one has a child elsewhere. */
  look(): boolean {
    let looked = 0;
    // Those of cgroups below are added while this goes on.
    for (const pid of this.#pids) {
      if (looked >= MOST_PROCESSES) return true;
      looked += 1;
      const { rss, shared } = residentOf(this.#files, pid);
      this.#rssBytes += rss;
      this.#privateBytes += Math.max(0, rss - shared);
      const io = parseIo(this.#files.read(`/proc/${pid}/io`) ?? '');
      if (io !== null) this.#io.set(pid, io);
      if (!this.haveAllChildrenOf(pid)) return false;
    }
    return true;
  }

  use(): Pick<TreeUse, 'rssBytes' | 'privateBytes' | 'io' | 'pids' | 'isCut'> {
    return {
      rssBytes: this.#rssBytes,
      privateBytes: this.#privateBytes,
      io: this.#io,
      pids: this.#pids,
      isCut: this.#pids.size > MOST_PROCESSES,
    };
  }

  /** One that is not listed has ended, was made since, or is in a cgroup below. */
  #isHere(child: number): boolean {
    const text = this.#files.read(`/proc/${child}/cgroup`);
    if (text === null) return true;
    const names = parseCgroupPath(text)?.split('/') ?? [];
    const at = names.indexOf(basename(this.#dir));
    if (at === -1) return false;
    if (at < names.length - 1 && !this.#hasBelow) {
      this.#hasBelow = true;
      this.#addBelow(this.#dir, 0);
    }
    return true;
  }

  #addBelow(dir: string, depth: number): void {
    if (depth >= DEEPEST) return;
    for (const name of this.#files.list(dir)) {
      const procs = this.#files.read(join(dir, name, 'cgroup.procs'));
      if (procs === null) continue;
      for (const pid of parsePids(procs)) this.#pids.add(pid);
      this.#addBelow(join(dir, name), depth + 1);
    }
  }
}

function residentOf({ read, pageBytes }: ProcFiles, pid: number): { rss: number; shared: number } {
  const pages = parseStatm(read(`/proc/${pid}/statm`) ?? '');
  return { rss: (pages?.resident ?? 0) * pageBytes, shared: (pages?.shared ?? 0) * pageBytes };
}
