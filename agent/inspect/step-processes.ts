/**
 * Which processes a step has now: found from its record, as supervision finds them. Never a scan of
 * /proc, but on the scan rung, where only a scan shows a daemon; it is made when somebody asks, and
 * not more often.
 */
import { pidsOf } from '../process/cgroup/cgroup-tree.ts';
import { findProcesses, targetOf } from '../process/scan/scan-sweep.ts';
import { readRecord, type Started } from '../process/record/step-record.ts';
import type { Rung } from '../process/types.ts';
import { locateRoot } from '../telemetry/measured-step.ts';
import type { ProcFiles } from '../telemetry/proc-reader.ts';
import { readTree } from '../telemetry/process-tree.ts';

export interface StepProcesses {
  readonly rung: Rung;
  readonly main: number;
  readonly meshrun: number | null;
  readonly cgroup: string | null;
  readonly pids: ReadonlySet<number>;
  /** There are more. */
  readonly isCut: boolean;
}

/** Null for a step that has not begun, or of which nothing lives. */
export function processesOf(files: ProcFiles, stepDir: string): StepProcesses | null {
  const started = readRecord(stepDir)?.started;
  if (started === undefined) return null;
  const root = locateRoot(files, stepDir);
  const tree = root === null ? null : readTree(files, root);
  const pids = new Set([...(tree?.pids ?? []), ...beside(started)]);
  if (pids.size === 0) return null;
  const { pid: main, meshrun = null, cgroup = null } = started;
  return { rung: rungOf(started), main, meshrun, cgroup, pids, isCut: tree?.isCut ?? false };
}

/** Those that have left the tree: of a meshrun that was killed, or of none. */
function beside(started: Started): readonly number[] {
  if (started.cgroup !== undefined) {
    return pidsOf(started.cgroup).filter((pid) => pid !== started.meshrun);
  }
  return started.meshrun === undefined ? findProcesses(targetOf(started)) : [];
}

function rungOf({ cgroup, meshrun }: Started): Rung {
  if (cgroup !== undefined) return 'cgroup';
  return meshrun === undefined ? 'scan' : 'subreaper';
}
