/** One step's processes between two ticks: what they used since the last one. */
import { readRecord } from '../process/record/step-record.ts';
import { isStepCgroup } from '../process/cgroup/cgroup-home.ts';
import { chargedTo, readCgroupUse } from './cgroup-use.ts';
import type { ProcFiles } from './proc-reader.ts';
import { readTree, rootAt, type TreeRoot, type TreeUse } from './process-tree.ts';

/** Who holds the step's processes; null where nobody tells any more. */
export type LocateRoot = (files: ProcFiles, stepDir: string) => TreeRoot | null;

export const locateRoot: LocateRoot = (files, stepDir) => {
  const started = readRecord(stepDir)?.started;
  if (started === undefined) return null;
  const { meshrun, cgroup: dir } = started;
  if (meshrun !== undefined) {
    const root = rootAt(files, meshrun, true);
    // The record lies where the step can write.
    if (root === null || dir === undefined || !isStepCgroup(dir)) return root;
    return { ...root, cgroup: { dir, isCharged: chargedTo(files, dir) !== null } };
  }
  return { pid: started.pid, startTime: started.startTime, isHelper: false };
};

/** Of the time since the last look, but for the levels. */
export interface StepUse {
  readonly cpuMs: number;
  readonly helperMs: number;
  readonly rssBytes: number;
  readonly privateBytes: number;
  readonly helperRssBytes: number;
  /** Null where no process tells it. */
  readonly io: { readonly read: number; readonly written: number } | null;
  readonly pids: ReadonlySet<number>;
  readonly chargedBytes: number | null;
  readonly isCut: boolean;
  readonly isCpuCut: boolean;
}

export class MeasuredStep {
  readonly #files: ProcFiles;
  readonly #locate: LocateRoot;
  readonly #stepDir: string;
  #root: TreeRoot | null = null;
  /** Its cgroup does not say all of it, and will not any more. */
  #isWalked = false;
  #cpuMs = 0;
  #helperMs = 0;
  #io: TreeUse['io'] = new Map();

  constructor(files: ProcFiles, locate: LocateRoot, stepDir: string) {
    this.#files = files;
    this.#locate = locate;
    this.#stepDir = stepDir;
  }

  /** Since its begin, as of the last look. */
  get cpuMs(): number {
    return this.#cpuMs;
  }

  /** Null where nothing of it is found. */
  look(): StepUse | null {
    this.#root ??= this.#locate(this.#files, this.#stepDir);
    const use = this.#root === null ? null : this.#read(this.#root);
    if (use === null) return null;
    // A child that was reaped while the tree was walked is missing for once: time never goes back.
    const cpuMs = Math.max(this.#cpuMs, use.cpuMs);
    const helperMs = Math.max(this.#helperMs, use.helperMs);
    const { rssBytes, privateBytes, chargedBytes, helperRssBytes, pids, isCut, isCpuCut } = use;
    const step: StepUse = {
      cpuMs: cpuMs - this.#cpuMs,
      helperMs: helperMs - this.#helperMs,
      rssBytes,
      privateBytes,
      chargedBytes,
      helperRssBytes,
      io: ioBetween(this.#io, use.io),
      pids,
      isCut,
      isCpuCut,
    };
    this.#cpuMs = cpuMs;
    this.#helperMs = helperMs;
    this.#io = use.io;
    return step;
  }

  /** The cgroup of its own says it best, if it has one that all of it is in. */
  #read(root: TreeRoot): TreeUse | null {
    const { cgroup } = root;
    if (cgroup !== undefined && !this.#isWalked) {
      const use = readCgroupUse(this.#files, root, cgroup);
      if (use !== 'elsewhere') return use;
      this.#isWalked = true;
    }
    return readTree(this.#files, root);
  }
}

function ioBetween(before: TreeUse['io'], after: TreeUse['io']): StepUse['io'] {
  if (after.size === 0) return null;
  let [read, written] = [0, 0];
  for (const [pid, is] of after) {
    const was = before.get(pid);
    read += Math.max(0, is.read - (was?.read ?? 0));
    written += Math.max(0, is.written - (was?.written ?? 0));
  }
  return { read, written };
}
