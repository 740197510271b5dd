/** An attempt as people and machines are shown it: plain JSON made from its fold (I2). */
import type { FailureClass, Metric, Stage } from '../messages/attempt/outcome.ts';
import type { AttemptExited, LostFile, StepResult } from '../messages/attempt/attempt.ts';
import type { StoredFile } from '../messages/attempt/stored-file.ts';
import type { AttemptResources } from '../messages/agent/resources.ts';
import type { AttemptHealth } from '../messages/attempt/health.ts';
import type { AttemptTelemetry } from '../messages/agent/telemetry.ts';
import type { ReportSummary } from '../messages/attempt/report.ts';
import {
  lastFiles,
  type AttemptFold,
  type AttemptState,
  type SaidMessage,
} from './attempt-fold.ts';
import { rampView, type RampView } from './ramp-fold.ts';
import type { ReplacedRank } from './replaced-ranks.ts';
import { iso, isoOrNull } from './stream-date.ts';
import { acceptedAttempts } from './task-attempts.ts';
import type { TaskFold } from './task-fold.ts';

export interface AttemptView {
  readonly n: number;
  readonly agent: string;
  readonly host: string;
  readonly address: string;
  readonly state: AttemptState;
  readonly outcome: string | null;
  readonly stage: Stage | null;
  readonly class: FailureClass | null;
  readonly reason: string | null;
  readonly accepted: string;
  readonly started: string | null;
  readonly exited: string | null;
  readonly elapsedMs: number;
  readonly phase: string | null;
  readonly progress: number | null;
  readonly adoptions: number;
  readonly stop: {
    readonly command: string;
    readonly by: string;
    readonly reason: string | null;
  } | null;
  readonly steps: readonly StepResult[];
  readonly files: readonly StoredFile[];
  /** The last time that somebody had them taken once more, if any. */
  readonly collected: AttemptFold['collected'];
  /** The newest that is stored. */
  readonly checkpoint: {
    readonly number: number;
    readonly files: readonly StoredFile[];
  } | null;
  /** Why the last checkpoint that was not stored was not. */
  readonly checkpointRefused: string | null;
  readonly resumed: AttemptFold['resumed'];
  /** It ended and did not pass, or was superseded: what it left is not the task's result. */
  readonly partial: boolean;
  /** Its agent was lost, and its task went on without it. Not exited: whether it is dead is not known. */
  readonly superseded: boolean;
  /** Matched by the suite's `files`, and could not be kept. */
  readonly missingFiles: readonly LostFile[];
  readonly logBytes: number | null;
  /** Bytes of the log that were dropped on the host, as [from, to) ranges. */
  readonly logGaps: AttemptExited['logGaps'];
  /** The first line of the report that could not be read. */
  readonly malformedReport: string | null;
  readonly teardownFailure: string | null;
  readonly proven: boolean | null;
  /** Processes that no signal had ended when it ended. */
  readonly survivors: readonly number[];
  /** When the last of them had gone. */
  readonly survivorsGone: string | null;
  /** The end of stderr of the step that failed. */
  readonly stderrTail: NonNullable<AttemptExited['stderrTail']> | null;
  /** Measured by the agent without being asked. */
  readonly automatic: readonly Metric[];
  /** Null while it runs, and where nothing was measured. */
  readonly telemetry: AttemptTelemetry | null;
  /** What keeps it from beginning on its host, beside its turn: a fence. */
  readonly waiting: string | null;
  /** Of a rank: the step that it waits to begin with the others; absent where it waits for none. */
  readonly barrier?: string;
  /** What it was given, and of what host. Null before it began. */
  readonly resources: AttemptResources | null;
  /** The last lines of the benchmark's for people. */
  readonly messages: readonly SaidMessage[];
  /** The last change of each rule of the suite's health. */
  readonly health: readonly AttemptHealth[];
  /** What came by the report; null while it runs, and where nothing did. */
  readonly report: ReportSummary | null;
  /** Of one whose ranks begin in steps: a row for each stage so far, and why it ended. */
  readonly ramp?: RampView;
  /** Of an attempt on several hosts: then what is not here alone is of all its ranks together. */
  readonly ranks?: readonly RankView[];
  /** Absent where none was. */
  readonly replaced?: readonly ReplacedView[];
}

/** A rank that was given up on a lost host, and began anew elsewhere, or was to. */
export interface ReplacedView {
  readonly rank: number;
  readonly agent: string;
  readonly lost: string;
  readonly reason: string;
  /** Whose it is since; null: nobody's. */
  readonly by: string | null;
  /** How many were replaced then, with this one; 0 before. */
  readonly epoch: number;
  /** What is known of it there; null where it was never accepted. */
  readonly attempt: AttemptView | null;
}

export interface RankView extends AttemptView {
  readonly rank: number;
}

export function attemptView(attempt: AttemptFold): AttemptView {
  const { exited } = attempt;
  return {
    n: attempt.n,
    agent: attempt.agent,
    host: attempt.host,
    address: attempt.address,
    state: attempt.state,
    outcome: exited?.outcome ?? null,
    stage: exited?.stage ?? null,
    class: exited?.class ?? null,
    reason: exited?.reason ?? null,
    accepted: iso(attempt.acceptedMs),
    started: isoOrNull(attempt.startedMs),
    exited: isoOrNull(attempt.exitedMs),
    elapsedMs: attempt.elapsedMs,
    phase: attempt.phase,
    progress: attempt.progress,
    adoptions: attempt.adoptions,
    stop: exited?.stop ?? attempt.stopping,
    steps: exited?.steps ?? [],
    files: lastFiles(attempt.files),
    collected: attempt.collected,
    checkpoint: attempt.checkpoints.at(-1) ?? null,
    checkpointRefused: attempt.checkpointRefused,
    resumed: attempt.resumed,
    partial: exited !== null && (exited.outcome !== 'passed' || attempt.superseded),
    superseded: attempt.superseded,
    missingFiles: attempt.filesLost,
    logBytes: exited?.logBytes ?? null,
    logGaps: exited?.logGaps ?? [],
    malformedReport: attempt.malformedReport,
    teardownFailure: exited?.teardownFailure ?? null,
    proven: exited?.proven ?? null,
    survivors: exited?.survivors ?? [],
    survivorsGone: isoOrNull(attempt.survivorsGoneMs ?? null),
    stderrTail: exited?.stderrTail ?? null,
    automatic: exited?.automatic ?? [],
    telemetry: exited?.telemetry ?? null,
    waiting: attempt.waiting,
    ...(attempt.barrier === null ? {} : { barrier: attempt.barrier }),
    resources: attempt.resources,
    messages: attempt.messages,
    health: attempt.health,
    report: exited?.report ?? null,
    ...ranksOf(attempt),
  };
}

function ranksOf({ gang }: AttemptFold): Pick<AttemptView, 'ranks' | 'ramp' | 'replaced'> {
  if (gang === undefined) return {};
  const ramp = rampView(gang);
  return {
    ...(ramp === null ? {} : { ramp }),
    ranks: gang.ranks.flatMap((one, rank) =>
      one === undefined ? [] : [{ rank, ...attemptView(one) }],
    ),
    ...(gang.replaced === undefined ? {} : { replaced: gang.replaced.map(replacedView) }),
  };
}

function replacedView({ lostMs, fold, ...rest }: ReplacedRank): ReplacedView {
  return { ...rest, lost: iso(lostMs), attempt: fold === null ? null : attemptView(fold) };
}

/** The attempts of a task that an agent has accepted, oldest first. */
export function attemptViews(task: TaskFold): AttemptView[] {
  return acceptedAttempts(task).map(attemptView);
}
