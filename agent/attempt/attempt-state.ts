/**
 * What an attempt is (state), what it is told (messages) and what it asks for (effects). The rules
 * are in attempt-reducer.ts, the I/O in attempt.ts.
 *
 *   new -> queued -> stepping(0..) -> closing -> collecting -> stepping(teardown) -> finishing -> exited
 *
 * Before a step that a gang begins together its ranks are at a `barrier`.
 * `closing` waits for the services to end, where there are any; they live beside `stepping` until then.
 * `finishing` has no process left but survivors of a kill: files and the rest of the log are being
 * stored.
 */
import type { LostFile, StepResult } from '#protocol/messages/attempt/attempt.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import type { AttemptResumed, Checkpoint } from '#protocol/messages/attempt/checkpoint.ts';
import type { AttemptSpec, StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { StoppedAttempt } from '#protocol/messages/agent/host.ts';
import type {
  AttemptOutcome,
  FailureClass,
  Metric,
  Proof,
  Stage,
} from '#protocol/messages/attempt/outcome.ts';
import type { AttemptResources } from '#protocol/messages/agent/resources.ts';
import type { MetricProblem } from '#protocol/suite/extract/create-extractor.ts';
import type { CheckResult } from '../checks/types.ts';
import type { CollectedPart } from '../files/collected-parts.ts';
import type { StepOutcome } from '../process/types.ts';
import type { HealthChange } from '../health/health-policy.ts';
import type { Reported } from '../report/attempt-report.ts';
import type { ReportFact } from '../report/report-fold.ts';
import type { Peers } from './gang-peers.ts';
import type { Go } from './go.ts';
import type { ReachedStop, StopOrder } from './stop-order.ts';
import type { StageFigures, StageWindow } from '../report/stage-report.ts';

export type Life =
  | { readonly kind: 'new' | 'queued' | 'closing' | 'collecting' | 'finishing' | 'exited' }
  | {
      readonly kind: 'stepping';
      readonly index: number;
      /** `attempt.step_started` was emitted. */
      readonly announced: boolean;
      /** Of its main process, once that was heard. */
      readonly pid?: number | null;
    }
  /** A rank that waits for the others before this step; `go`: for the start they have in common. */
  | { readonly kind: 'barrier'; readonly index: number; readonly go: Go | null };

/** The end of the attempt, decided by the first thing that went wrong, or at the last step. */
export interface Verdict {
  readonly outcome: AttemptOutcome;
  readonly stage: Stage | null;
  readonly class: FailureClass | null;
  readonly reason: string | null;
}

/** A service that was ready, and has not ended. */
export interface LiveService {
  readonly index: number;
  /** Of its main process, once that was heard. */
  readonly pid: number | null;
}

/** Serialisable whole, but for the spec: it is the attempt's entry in the journal. */
export interface AttemptState {
  readonly spec: AttemptSpec;
  /** Id of the start command. */
  readonly command: string;
  /** The host that accepted it and its address; null before. */
  readonly at: { readonly host: string; readonly address: string } | null;
  readonly life: Life;
  /** Monotonic clock of `bootId` when it got its slots, null before; moved when the boot changes. */
  readonly originMs: number | null;
  readonly bootId: string;
  /** Of the last event; elapsed never goes back, whatever becomes of the clock (I3). */
  readonly elapsedMs: number;
  /** Events emitted so far on the attempt's subject. */
  readonly seq: number;
  /** The slots it holds; the first is its $BENCHMESH_SLOT. */
  readonly slots: readonly number[];
  /** What else it was given, and of what host; absent before it began. */
  readonly resources?: AttemptResources;
  readonly verdict: Verdict | null;
  readonly stop: ReachedStop | null;
  readonly steps: readonly StepResult[];
  /** Ids of ended steps whose survivors still live: its claim stays with it until none is left (I5). */
  readonly fencedBy?: readonly string[];
  readonly phase: number;
  /** How long its host was being prepared before its own steps; absent where it was not. */
  readonly hostSetupMs?: number;
  readonly progress: number;
  readonly malformed: boolean;
  /** From the report; read again from its begin after a restart, so never in the journal. */
  readonly reported: Reported | null;
  /** Messages of the report that were told. */
  readonly messages?: number;
  /** From the output and the JSON files. */
  readonly extracted: readonly Metric[];
  readonly files: readonly StoredFile[];
  /** Those that stay stored, oldest first; absent before the first. */
  readonly checkpoints?: readonly Checkpoint[];
  /** What was put in place before the first step, relative to the work folder; absent before that. */
  readonly resumed?: { readonly path: string | null };
  readonly teardownFailure: string | null;
  readonly services?: readonly LiveService[];
  /** Barriers that it has passed; absent before the first. */
  readonly opened?: readonly string[];
  /** Of a gang that is started in steps: the stage it is in, by this host's wall clock. */
  readonly ramp?: StageWindow & { readonly isTold: boolean };
  readonly isRampOver?: true;
  /** Of the step whose failure is the verdict. */
  readonly stderrTail?: { readonly step: string; readonly text: string };
  /** Measured by the agent itself, beside what the results of the steps say. */
  readonly measured?: readonly Metric[];
  /** The rung of this agent: what the proof of an attempt without processes is named after. */
  readonly proof: Proof;
}

export type AttemptMessage =
  | { readonly kind: 'accept'; readonly host: string; readonly address: string }
  /** It has waited long enough for its first event to be worth a message of its own. */
  | { readonly kind: 'say_accepted' }
  /** It ends by that stop, and has not ended yet. */
  | { readonly kind: 'say_stopping'; readonly stop: StopOrder }
  /** It is kept from beginning by something that may last. */
  | { readonly kind: 'wait'; readonly reason: string }
  | {
      readonly kind: 'begin';
      readonly slots: readonly number[];
      readonly resources?: AttemptResources;
      /** It is the one that prepares the host. */
      readonly makesSetup?: boolean;
    }
  /** It cannot run on this host at all, or the host could not be prepared for it (stage `setup`). */
  | {
      readonly kind: 'refuse';
      readonly class: FailureClass | null;
      readonly reason: string | null;
      readonly outcome?: AttemptOutcome;
      readonly stage?: Stage;
    }
  | { readonly kind: 'step_started'; readonly index: number; readonly pid: number | null }
  | {
      readonly kind: 'step_ended';
      readonly index: number;
      readonly outcome: StepOutcome;
      /** Last line of stderr, for the reason of a failure. */
      readonly lastLine: string | null;
      /** The end of stderr of a step that failed. */
      readonly stderrTail?: string;
    }
  | {
      readonly kind: 'check_ended';
      readonly index: number;
      readonly result: CheckResult;
      readonly durationMs: number;
    }
  | { readonly kind: 'service_ready'; readonly index: number; readonly afterMs: number }
  /** It was not ready in time. */
  | { readonly kind: 'service_unready'; readonly index: number; readonly reason: string }
  /** The survivors of an ended step have ended after all. */
  | { readonly kind: 'step_gone'; readonly step: string }
  /** By the agent itself, between two steps. */
  | { readonly kind: 'measured'; readonly metric: Metric }
  /** New in the report. */
  | { readonly kind: 'report'; readonly facts: readonly ReportFact[] }
  /** Rules of the suite's health that fail, or hold again. */
  | { readonly kind: 'health'; readonly changes: readonly HealthChange[] }
  /** What the report came to, when a step has ended. */
  | { readonly kind: 'reported'; readonly reported: Reported }
  | { readonly kind: 'stop'; readonly stop: StopOrder }
  /** Every rank of its gang is ready for that step. */
  | ({ readonly kind: 'go'; readonly barrier: string } & Go)
  /** Another rank of it was replaced. */
  | ({ readonly kind: 'peers' } & Peers)
  /** The effect `stage` is done, or the run has ended before. */
  | ({
      readonly kind: 'stage_measured';
      readonly stage: number;
      readonly isWhole: boolean;
    } & StageFigures)
  /** The effect `wait` is done. */
  | { readonly kind: 'waited'; readonly index: number }
  /** Its host is cut off from the server, for longer than its suite wants. */
  | { readonly kind: 'cut_off'; readonly reason: string }
  | {
      readonly kind: 'extracted';
      readonly metrics: readonly Metric[];
      readonly problems: readonly MetricProblem[];
      /** Required result files that are not there as they should be. */
      readonly missing?: readonly LostFile[];
    }
  | { readonly kind: 'file_stored'; readonly file: StoredFile }
  /** Taken once more, because somebody asked for it; after its end too. */
  | { readonly kind: 'collected'; readonly parts: readonly CollectedPart[] }
  /** Oldest change first; every object of it is stored. */
  | { readonly kind: 'checkpointed'; readonly files: readonly StoredFile[] }
  | { readonly kind: 'checkpoint_refused'; readonly reason: string }
  | { readonly kind: 'resumed'; readonly placed: Omit<AttemptResumed, 'elapsedMs'> }
  | {
      readonly kind: 'finished';
      readonly logGaps: readonly Gap[];
      /** Output is missing because the disk refused it. */
      readonly isRefused?: boolean;
      readonly filesLost?: readonly LostFile[];
    }
  /** The agent came back and found the attempt in its journal (I8). */
  | { readonly kind: 'resume'; readonly bootId: string }
  | {
      readonly kind: 'step_adopted';
      readonly index: number;
      readonly alive: boolean;
      readonly pid: number | null;
    }
  | { readonly kind: 'step_not_started'; readonly index: number };

export interface Gap {
  readonly from: number;
  readonly to: number;
}

/** An event of the attempt, numbered on its subject. */
export type AttemptEvent = {
  [N in MessageName]: { readonly name: N; readonly seq: number; readonly data: MessageData<N> };
}[MessageName];

export type AttemptEffect =
  /** State and events go to the journal first, then the events to the outbox. */
  | {
      readonly kind: 'record';
      readonly state: AttemptState;
      readonly events: readonly AttemptEvent[];
    }
  | {
      readonly kind: 'start_step';
      readonly index: number;
      readonly step: StepSpec;
      readonly budgetMs: number | null;
      readonly slot: number;
    }
  | { readonly kind: 'say_accepted_soon' }
  | { readonly kind: 'say_stopping_soon'; readonly stop: StopOrder }
  /** Before that step; a later one takes its place. */
  | { readonly kind: 'wait'; readonly index: number; readonly forMs: number }
  | { readonly kind: 'write_peers' }
  /** What is reported meanwhile is summed up, and told when it is over. */
  | { readonly kind: 'stage'; readonly stage: StageWindow; readonly forMs: number }
  | { readonly kind: 'adopt_step'; readonly index: number; readonly step: StepSpec }
  | {
      readonly kind: 'run_check';
      readonly index: number;
      readonly step: StepSpec;
      readonly budgetMs: number | null;
    }
  /** Of a running step, a check or a service alike. */
  | {
      readonly kind: 'stop_step';
      readonly index: number;
      readonly graceMs: number;
      readonly now: boolean;
    }
  | { readonly kind: 'extract' }
  /** It has prepared the host, or could not; null: it has. */
  | { readonly kind: 'set_up'; readonly failure: Verdict | null }
  /** No process is left: the host may use what the attempt held. With survivors after `end`. */
  | { readonly kind: 'free' }
  | { readonly kind: 'finish' }
  | { readonly kind: 'end'; readonly end: AttemptEnd };

/** What the host learns of an attempt that is over. */
export interface AttemptEnd {
  /** The stops it was under. */
  readonly commands: readonly string[];
  readonly stopped: StoppedAttempt;
}

export interface NewAttempt {
  readonly spec: AttemptSpec;
  readonly command: string;
  readonly bootId: string;
  readonly proof: Proof;
}

export function newAttempt({ spec, command, bootId, proof }: NewAttempt): AttemptState {
  return {
    spec,
    command,
    bootId,
    proof,
    at: null,
    life: { kind: 'new' },
    originMs: null,
    elapsedMs: 0,
    seq: 0,
    slots: [],
    verdict: null,
    stop: null,
    steps: [],
    phase: -1,
    progress: 0,
    malformed: false,
    reported: null,
    extracted: [],
    files: [],
    teardownFailure: null,
  };
}

/** An attempt is proven no better than the least of its steps. */
const WEAKEST_FIRST: readonly Proof[] = ['scan', 'subreaper', 'cgroup'];

/** How an ended attempt answers a stop, also of one that came too late. */
export function stoppedAttempt(state: AttemptState): StoppedAttempt {
  const { spec, stop, steps, proof } = state;
  return {
    run: spec.run,
    task: spec.task,
    n: spec.n,
    processes: stop?.processes ?? 0,
    signal: stop?.signal ?? null,
    goneMs: stop?.goneMs ?? 0,
    proof: WEAKEST_FIRST.find((weak) => steps.some((step) => step.proof === weak)) ?? proof,
    proven: isProven(state),
    survivors: survivorsOf(state),
  };
}

export function isProven(state: AttemptState): boolean {
  return state.steps.every((step) => step.proven);
}

export function survivorsOf(state: AttemptState): number[] {
  return [...new Set(state.steps.flatMap((step) => step.survivors))];
}

/** It keeps its slots, cpus and exclusive claim, also after `exited`. */
export function isFenced({ fencedBy = [] }: Pick<AttemptState, 'fencedBy'>): boolean {
  return fencedBy.length > 0;
}

/** For its first event and its end. */
export function givenOf({ resources }: AttemptState): { resources?: AttemptResources } {
  return resources === undefined ? {} : { resources };
}

/** What was heard of the start of a step that runs; null where nothing was. */
export function startOf(
  { life, services = [] }: Pick<AttemptState, 'life' | 'services'>,
  index: number,
): { readonly pid: number | null } | null {
  const service = services.find((each) => each.index === index);
  if (service !== undefined) return service;
  if (life.kind !== 'stepping' || life.index !== index || !life.announced) return null;
  return { pid: life.pid ?? null };
}

export function logBytesOf(state: AttemptState): number {
  return state.steps.reduce((sum, step) => sum + step.logBytes, 0);
}
