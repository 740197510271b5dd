/**
 * Whose the processes are that nvidia-smi names: found by walking the trees of our steps, only when it
 * names one.
 */
import { attemptKey } from '#protocol/messages/ids.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { attemptPaths, stepDir } from '../state/state-folder.ts';
import { locateRoot, type LocateRoot } from '../telemetry/measured-step.ts';
import type { ProcFiles } from '../telemetry/proc-reader.ts';
import { readTree } from '../telemetry/process-tree.ts';
import type { Owner } from './fence-policy.ts';

export interface OwnerOptions {
  readonly files: ProcFiles;
  readonly stateDir: string;
  /** Of all attempts that may have a process. */
  readonly specs: readonly AttemptSpec[];
  /** In a container pids may be of a namespace that this process does not see. */
  readonly isContainer: boolean;
  readonly locate?: LocateRoot;
}

/** Walks on the first pid that is asked for, and once. */
export function ownerFinder(options: OwnerOptions): (pid: number) => Owner {
  let known: ReadonlyMap<number, string> | null = null;
  return (pid) => {
    known ??= ownPids(options);
    const key = known.get(pid);
    if (key !== undefined) return { kind: 'attempt', key };
    const isSeen = options.files.read(`/proc/${pid}/stat`) !== null;
    if (isSeen) return { kind: 'stranger' };
    return { kind: options.isContainer ? 'unseen' : 'ended' };
  };
}

function ownPids({
  files,
  stateDir,
  specs,
  locate = locateRoot,
}: OwnerOptions): Map<number, string> {
  const pids = new Map<number, string>();
  for (const spec of specs) {
    const { work } = attemptPaths(stateDir, spec);
    for (const { id } of spec.steps) {
      const root = locate(files, stepDir(work, id));
      const tree = root === null ? null : readTree(files, root);
      for (const pid of tree?.pids ?? []) pids.set(pid, attemptKey(spec));
    }
  }
  return pids;
}
