/**
 * What is done about a step whose meshrun died without saying how it ended: killed by hand,
 * by the kernel, or with the host. Its end is `lost`, never guessed. Its main process died
 * with meshrun (PDEATHSIG); what else can be found of it is killed. If it had a cgroup, that proves
 * that nothing is left, else nothing does. The result is appended to the record, so that whoever
 * asks again gets the same answer.
 */
import { join } from 'node:path';
import { endCgroup, pidsOf, type EndedCgroup } from '../cgroup/cgroup-tree.ts';
import { appendPlain } from '../plain-file.ts';
import { LogSegments } from '../spool/log-segments.ts';
import { bootId, hasVariable, readProcess } from '../scan/proc-table.ts';
import {
  findProcesses,
  killProcesses,
  targetOf,
  type Swept,
  type SweepTarget,
} from '../scan/scan-sweep.ts';
import { outcomeOf } from '../record/step-outcome.ts';
import type { Gone, Started, StepRecord } from '../record/step-record.ts';
import type { KnownStart, StepOutcome } from '../types.ts';

interface Ended extends Swept {
  readonly proof: 'cgroup' | 'scan';
  readonly empty: boolean;
  readonly oomKills: number | null;
}

/** The outcome of a step asked about again: of the survivors a scan named, those that still live. */
export function withLiving(outcome: StepOutcome, { started }: StepRecord): StepOutcome {
  const { gone } = outcome;
  if (gone.survivors.length === 0 || started === undefined) return outcome;
  const isSameBoot = started.bootId === bootId();
  const living = new Set(isSameBoot ? processesOf(started) : []);
  return {
    ...outcome,
    gone: { ...gone, survivors: gone.survivors.filter((pid) => living.has(pid)) },
  };
}

function processesOf(started: Started): number[] {
  const { cgroup } = started;
  return [...findProcesses(targetOf(started)), ...(cgroup === undefined ? [] : pidsOf(cgroup))];
}

/** What is known of a step that was started; without its record, what its starter remembers. */
export interface LostStep {
  readonly record: StepRecord;
  readonly target: SweepTarget;
  readonly reason: string;
}

export const NO_END = 'meshrun ended without a record of the end';
export const NO_RECORD = 'its record was removed from its folder while it ran';

/** A step whose record was removed, as whoever journalled its start knows it. */
export function withoutRecord({ variable, pid }: KnownStart): LostStep {
  const startTime = pid === null ? undefined : readProcess(pid)?.startTime;
  const main = pid === null || startTime === undefined ? null : { pid, startTime };
  return { record: {}, target: { mark: variable, main }, reason: NO_RECORD };
}

/** The same, from a journal: since then the pid may have become another's, after a reboot too. */
export function withoutRecordSince({ variable, pid }: KnownStart): LostStep {
  const isStill = pid !== null && hasVariable(pid, variable.name, variable.value);
  return withoutRecord({ variable, pid: isStill ? pid : null });
}

/** After a reboot. */
const NOTHING_RUNS: Ended = {
  proof: 'scan',
  empty: true,
  processes: 0,
  waves: 0,
  survivors: [],
  oomKills: null,
};

/**
 * Kills what is left of a step that no meshrun supervises any more. The scan comes on top of the
 * cgroup, for what a step with the right to do so has moved out of it.
 */
export async function endProcesses(target: SweepTarget, cgroup?: string): Promise<Ended> {
  if (cgroup === undefined) {
    return { ...(await killProcesses(target)), proof: 'scan', empty: false, oomKills: null };
  }
  const ended = await endCgroup(cgroup);
  return together(ended, await killProcesses(target));
}

/** An empty cgroup proves nothing where the scan has found what had left it: there may be more. */
export function together(ended: EndedCgroup, swept: Swept): Ended {
  const survivors = [...new Set([...ended.survivors, ...swept.survivors])];
  const isProven = ended.isEmpty && swept.processes === 0 && survivors.length === 0;
  return {
    proof: isProven ? 'cgroup' : 'scan',
    empty: isProven,
    processes: ended.processes + swept.processes,
    waves: ended.waves + swept.waves,
    survivors,
    oomKills: ended.oomKills,
  };
}

/** Never rejects. */
export async function closeLostStep(stepDir: string, lost: LostStep): Promise<StepOutcome> {
  const { record, target, reason } = lost;
  const { started } = record;
  const rebooted = started !== undefined && started.bootId !== bootId();
  const begunAt = performance.now();
  const swept = rebooted ? NOTHING_RUNS : await endProcesses(target, started?.cgroup);
  const cause = record.exited ?? record.stopping;
  const gone: Gone = {
    type: 'gone',
    empty: swept.empty,
    reaped: 0,
    processes: swept.processes,
    waves: swept.waves,
    signal: swept.waves > 0 ? 9 : 0,
    goneUs: Math.round((performance.now() - begunAt) * 1000),
    stopRequested: cause?.stopRequested ?? false,
    deadline: cause?.deadline ?? false,
    logBytes: new LogSegments(stepDir).extent(),
    droppedStdout: 0,
    droppedStderr: 0,
    proof: swept.proof,
    ...(swept.oomKills !== null && { oomKills: swept.oomKills }),
    survivors: swept.survivors,
    reason: rebooted ? 'the host was restarted while it ran' : reason,
  };
  try {
    // The line before may be torn.
    appendPlain(join(stepDir, 'record'), `\n${JSON.stringify(gone)}\n`);
  } catch {
    // A full disk, or no folder any more: the next one to ask does the same again.
  }
  const outcome = outcomeOf({ ...record, gone });
  if (outcome === null) throw new Error('a record with gone has an outcome');
  return outcome;
}
