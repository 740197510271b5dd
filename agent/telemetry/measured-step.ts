/** One step's processes between two ticks: what they used since the last one. */
import { readRecord } from '../process/record/step-record.ts';
import { TICKS_PER_SECOND } from './proc-text.ts';
import type { ProcFiles } from './proc-reader.ts';
import { readTree, rootAt, type TreeRoot, type TreeUse } from './process-tree.ts';

export const MS_PER_TICK = 1_000 / TICKS_PER_SECOND;

/** Who holds the step's processes; null where nobody tells any more. */
export type LocateRoot = (files: ProcFiles, stepDir: string) => TreeRoot | null;

export const locateRoot: LocateRoot = (files, stepDir) => {
  const started = readRecord(stepDir)?.started;
  if (started === undefined) return null;
  if (started.meshrun !== undefined) return rootAt(files, started.meshrun, true);
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
  readonly isCut: boolean;
}

export class MeasuredStep {
  readonly #files: ProcFiles;
  readonly #locate: LocateRoot;
  readonly #stepDir: string;
  #root: TreeRoot | null = null;
  #cpuTicks = 0;
  #helperTicks = 0;
  #io: TreeUse['io'] = new Map();

  constructor(files: ProcFiles, locate: LocateRoot, stepDir: string) {
    this.#files = files;
    this.#locate = locate;
    this.#stepDir = stepDir;
  }

  /** Since its begin, as of the last look. */
  get cpuMs(): number {
    return this.#cpuTicks * MS_PER_TICK;
  }

  /** Null where nothing of it is found. */
  look(): StepUse | null {
    this.#root ??= this.#locate(this.#files, this.#stepDir);
    const use = this.#root === null ? null : readTree(this.#files, this.#root);
    if (use === null) return null;
    // A child that was reaped while the tree was walked is missing for once: time never goes back.
    const cpuTicks = Math.max(this.#cpuTicks, use.cpuTicks);
    const helperTicks = Math.max(this.#helperTicks, use.helperTicks);
    const step: StepUse = {
      cpuMs: (cpuTicks - this.#cpuTicks) * MS_PER_TICK,
      helperMs: (helperTicks - this.#helperTicks) * MS_PER_TICK,
      rssBytes: use.rssBytes,
      privateBytes: use.privateBytes,
      helperRssBytes: use.helperRssBytes,
      io: ioBetween(this.#io, use.io),
      pids: use.pids,
      isCut: use.isCut,
    };
    this.#cpuTicks = cpuTicks;
    this.#helperTicks = helperTicks;
    this.#io = use.io;
    return step;
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
