/**
 * What a step finds when it begins: its folders, the scratch of its slot, checkpoints, an empty host setup.
 * And what is asked before it: what the GPUs hold once all is loaded. A rank of a gang finds where the others are.
 */
import type { AttemptSpec, StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { hostSetupDir, stepDir, type AttemptPaths } from '../state/state-folder.ts';
import type { AttemptFiles } from '../files/attempt-files.ts';
import type { AttemptDeps } from './attempt-deps.ts';
import type { AttemptState } from './attempt-state.ts';
import { prepareFolder } from './attempt-folder.ts';
import { writePeersFile } from './peers-file.ts';
import { renewFolder } from './run-folders.ts';

export interface Preparation {
  readonly deps: Pick<AttemptDeps, 'stateDir' | 'scratch' | 'ledger' | 'supervisor'>;
  readonly state: AttemptState;
  readonly paths: AttemptPaths;
  readonly files: Pick<AttemptFiles, 'hasToPlace' | 'place'>;
  readonly step: StepSpec;
  readonly slot: number;
  /** What is to be asked before the step may run; null for nothing. Never rejects. */
  readonly ask: (step: StepSpec) => Promise<void> | null;
}

/** Null where all is there at once, as for most. Throws, and rejects with, system errors. */
export function prepareStep(what: Preparation): Promise<void> | null {
  const { deps, paths, files, step, slot } = what;
  const { spec, steps } = what.state;
  // It knows of a step before that can run, and of an end before another gets what that has left.
  deps.ledger.flush();
  // A check leaves nothing behind that the first command would find.
  const isFirst = steps.every(({ check }) => check !== undefined);
  if (isFirst) prepareFolder(paths, what.state, step);
  writePeersFile(paths, spec);
  deps.supervisor.makeFolder(stepDir(paths.work, step.id));
  deps.scratch.make(spec.run, slot);
  const placed = isFirst && files.hasToPlace() ? files.place() : what.ask(step);
  if (step.hostSetup === undefined) return placed;
  const renewed = renewFolder(hostSetupDir(deps.stateDir, spec.run, step.hostSetup.id));
  return Promise.all([placed, renewed]).then(() => undefined);
}

/** What the host setup of the run fills; null where there is none. */
export function hostSetupOf(stateDir: string, { run, steps }: AttemptSpec): string | null {
  const id = steps[0]?.hostSetup?.id;
  return id === undefined ? null : hostSetupDir(stateDir, run, id);
}
