/**
 * The state of one leader's term, the messages that change it and the effects it asks for.
 *
 * Run, Scheduler, Fleet and Stop keep their own state; the core composes them behind one mailbox,
 * so that they all see the streams in the same order. The state is owned by the actor and changed
 * in place (a run may have 100,000 tasks), but only by `update`, and depends on nothing except the
 * messages: the same messages give the same state and effects.
 */
import type { EventRecord } from '#protocol/fold/record.ts';
import type {
  ChangeReply,
  ChangeRequest,
  NoteReply,
  NoteRequest,
  ResumeReply,
  ResumeRequest,
  SubmitReply,
  SubmitRequest,
} from '#protocol/messages/run/api.ts';
import type { ForgetReply, ForgetRequest } from '#protocol/messages/agent/forget.ts';
import type { CordonReply, DrainRequest } from '#protocol/messages/agent/drain.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { StopCommand } from '#protocol/messages/run/command.ts';
import type { ErrorCode } from '#protocol/messages/errors.ts';
import type { Heartbeat, Registration } from '#protocol/messages/agent/host.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import type { LogFields } from '#protocol/runtime/log.ts';
import type { Now } from '#protocol/runtime/clock.ts';
import { CORDON_AFTER } from '../fleet/failing-policy.ts';
import { AGENT_LEASE_MS, createFleet, type FleetState } from '../fleet/fleet-reducer.ts';
import type { RunHistory } from '#protocol/suite/task-order.ts';
import type { RunEntry } from '../runs/run-state.ts';
import { createScheduler, type SchedulerState } from '../scheduler/scheduler-state.ts';
import type { RunStops } from '../stop/stop-reducer.ts';
import { createTakeBacks, type TakeBacks } from './starts/take-back-state.ts';
import { createPassed, type PassedState } from './ends/passed-state.ts';
import { createLate, type LateState, type SweepEffect } from './ends/late-state.ts';

export type CoreMessage =
  /** Stored in BM_EVENTS. */
  | { readonly kind: 'event'; readonly record: EventRecord }
  /** Stored in BM_COMMANDS. */
  | { readonly kind: 'command'; readonly record: EventRecord }
  /** Starts of this leader's own, now stored: those of one command. */
  | ({ readonly kind: 'own_starts' } & OwnStarts)
  /** What the events were up to a sequence is known already: the first message there is. */
  | { readonly kind: 'restored'; readonly state: CoreState }
  /** A stored message that cannot be read. */
  | ({ readonly kind: 'unreadable' } & MessageData<'message.rejected'>)
  /** Both streams have been read up to this leader's claims: from now on it acts. */
  | { readonly kind: 'replayed' }
  | {
      readonly kind: 'registered';
      readonly registration: Registration;
      /** When it was stored, by the stream; absent: just now. */
      readonly timeMs?: number;
    }
  | { readonly kind: 'forgotten'; readonly agent: string }
  /** `free_agent` is done. */
  | { readonly kind: 'freed'; readonly agent: string; readonly beforeMs: number }
  | { readonly kind: 'mailbox'; readonly agent: string; readonly made: boolean }
  | { readonly kind: 'heartbeat'; readonly beat: Heartbeat }
  /** The link was broken for a while: nothing was heard. */
  | { readonly kind: 'reconnected' }
  | { readonly kind: 'tick' }
  /** `say_passed_soon` is due. */
  | { readonly kind: 'say_passed' }
  /** `wake_soon` is due. */
  | { readonly kind: 'wake' }
  | Submit
  /** An operator's word on an agent; to be stored as a command. */
  | { readonly kind: 'drain'; readonly request: DrainRequest }
  | { readonly kind: 'cordon'; readonly token: number; readonly request: DrainRequest }
  | { readonly kind: 'forget'; readonly token: number; readonly request: ForgetRequest }
  | Resume
  | Change
  | Note
  /** No stream takes this message (too large): it will never be stored. */
  | { readonly kind: 'unstorable'; readonly effect: PublishEffect; readonly reason: string }
  | { readonly kind: 'archived'; readonly run: string; readonly directory: string }
  | ReadHistory
  | { readonly kind: 'purged'; readonly run: string };

export interface OwnStarts {
  readonly agent: string;
  /** In BM_COMMANDS. */
  readonly sequence: number;
  readonly starts: readonly AttemptRef[];
}

/** `read_history` is done; null where the run that was to be read is gone, and why. */
export interface ReadHistory {
  readonly kind: 'history';
  readonly run: string;
  readonly history: RunHistory | null;
  readonly reason: string | null;
}

export interface Submit {
  readonly kind: 'submit';
  readonly token: number;
  readonly request: SubmitRequest;
  /** Tasks the suite expands to. */
  readonly tasks: number;
  /** The highest of its tasks. */
  readonly priority: number;
  /** The run's directory exists already. */
  readonly isArchived: boolean;
  /** As in `run.submitted`. */
  readonly basis?: string | null;
}

export interface Resume {
  readonly kind: 'resume';
  readonly token: number;
  readonly request: ResumeRequest;
}

export interface Change {
  readonly kind: 'change';
  readonly token: number;
  readonly request: ChangeRequest;
}

export interface Note {
  readonly kind: 'note';
  readonly token: number;
  readonly request: NoteRequest;
}

export type PublishEffect = {
  [N in MessageName]: {
    readonly kind: 'publish';
    readonly subject: string;
    readonly name: N;
    readonly data: MessageData<N>;
    readonly id: string;
    readonly ttl?: number | 'never';
    /** Its order on the subject does not matter. */
    readonly unordered?: boolean;
  };
}[MessageName];

export interface ArchiveEffect {
  readonly kind: 'archive';
  readonly run: string;
  readonly fromSequence: number;
  readonly stopCommands: readonly string[];
  /** Snapshot of the hosts that had attempts. */
  readonly hosts: Readonly<Record<string, Registration>>;
}

export interface PurgeEffect {
  readonly kind: 'purge';
  readonly run: string;
  readonly agents: readonly string[];
  readonly stopCommands: readonly string[];
  /** Its ranks were told more than their starts. */
  readonly hasGangs: boolean;
  /** Agents that have not answered for what was revoked: they read it when they are back. */
  readonly owing: readonly string[];
  /** Its objects in BM_FILES. */
  readonly files: readonly { readonly agent: string; readonly sha256: string }[];
}

export type Effect =
  | PublishEffect
  | ArchiveEffect
  | PurgeEffect
  | SweepEffect
  | {
      readonly kind: 'drop_files';
      readonly run: string;
      readonly files: PurgeEffect['files'];
    }
  /** Of the run, those before this sequence in BM_COMMANDS: their attempts have ended, proven. */
  | { readonly kind: 'drop_starts'; readonly run: string; readonly before: number }
  | { readonly kind: 'reply'; readonly token: number; readonly reply: ApiAnswer }
  | { readonly kind: 'make_mailbox'; readonly agent: string }
  /** It was forgotten at that stream time: what was kept of it before goes, and its id is free. */
  | { readonly kind: 'free_agent'; readonly agent: string; readonly beforeMs: number }
  /** What became of the tasks of the run `basis`, for the order of `run`. */
  | { readonly kind: 'read_history'; readonly run: string; readonly basis: string }
  | { readonly kind: 'say_passed_soon'; readonly afterMs: number }
  /** Takes the place of the one before. */
  | { readonly kind: 'wake_soon'; readonly afterMs: number }
  /** The stop with this sequence in BM_COMMANDS is closed. */
  | { readonly kind: 'delete_stop'; readonly sequence: number }
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly fields: LogFields;
      readonly text: string;
    };

export type ApiReply =
  SubmitReply | ResumeReply | ChangeReply | NoteReply | CordonReply | ForgetReply;

/** To a request that was answered later. */
export type ApiAnswer =
  | { readonly kind: 'ok'; readonly reply: ApiReply }
  | { readonly kind: 'error'; readonly code: ErrorCode; readonly message: string };

/** A stop whose run this coordinator has not read: its `run.submitted` may be about to come. */
export interface StrayStop {
  readonly command: string;
  readonly sequence: number;
  readonly data: StopCommand;
  readonly sinceMs: number;
}

/** Waits and limits that flags set and tests shorten. */
export interface CoreTiming {
  /** Watchers finish reading before an archived run's subjects are purged. */
  readonly purgeAfterMs: number;
  /** A stop of a run nobody knows is removed after this. */
  readonly strayAfterMs: number;
  /** An agent silent for longer is unreachable. */
  readonly agentLeaseMs: number;
  /** A log of an unreachable agent is given up after this long without a byte. */
  readonly logGoneMs: number;
  /** Between sweeps for what comes after the end. */
  readonly sweepEveryMs: number;
  /** An agent that finds a replaced checkpoint stored already has so long to say that it counts on it. */
  readonly replacedAfterMs: number;
  /** An attempt has run for as long before it is ended for one of a higher priority. */
  readonly preemptAfterMs: number;
  /** Starts of a run are stored while they are fewer, whatever became of their attempts. */
  readonly startsKept: number;
  /** So many different tasks that fail on a host in a row, and not elsewhere, cordon it; 0: nothing does. */
  readonly cordonAfter: number;
}

export const CORE_TIMING: CoreTiming = {
  purgeAfterMs: 12_000,
  strayAfterMs: 10_000,
  agentLeaseMs: AGENT_LEASE_MS,
  logGoneMs: 30_000,
  sweepEveryMs: 600_000,
  replacedAfterMs: 30_000,
  preemptAfterMs: 10_000,
  startsKept: 5_000,
  cordonAfter: CORDON_AFTER,
};

export interface CoreState {
  readonly timing: CoreTiming;
  readonly epoch: number;
  /** Sequence of the claim on BM_EVENTS: what is older is history. */
  readonly claimSequence: number;
  /** Stream time of the claim. */
  claimMs: number;
  acting: boolean;
  /** Of the newest command that was read, or stored for this leader. */
  commandSequence: number;
  /** Of the ids this leader makes. */
  counter: number;
  /** Not purged yet, as submitted. */
  readonly runs: Map<string, RunEntry>;
  readonly stops: Map<string, RunStops>;
  readonly scheduler: SchedulerState;
  readonly fleet: FleetState;
  /** Submissions on their way: tokens to answer, the first of them made the run. */
  readonly submitting: Map<string, number[]>;
  /** Asked for, and not stored yet. */
  resuming: Resume[];
  /** Answers that wait for a message of this id to come back stored; null: what applies it knows. */
  readonly owed: Map<string, { readonly token: number; readonly reply: ApiReply | null }>;
  strayStops: StrayStop[];
  readonly late: LateState;
  readonly passed: PassedState;
  readonly takeBacks: TakeBacks;
  /** This leader's words on where ranks begin anew, on their way, by id: their places are taken already. */
  readonly replacing: Map<string, { readonly run: string; readonly task: string; agent: string }>;
  /** Agents that may have room; `all` when tasks have come. */
  dirty: Set<string> | 'all';
  lastTickMs: number;
  /** Monotonic: of the last message. */
  nowMs: number;
  /** Monotonic: when it will be woken; Infinity where nobody asked. */
  wakeAtMs: number;
}

export function createCore(
  claim: { epoch: number; sequence: number },
  timing: CoreTiming = CORE_TIMING,
): CoreState {
  return {
    timing,
    epoch: claim.epoch,
    claimSequence: claim.sequence,
    claimMs: Infinity,
    acting: false,
    commandSequence: 0,
    counter: 0,
    runs: new Map(),
    stops: new Map(),
    scheduler: createScheduler(),
    fleet: createFleet(),
    submitting: new Map(),
    resuming: [],
    owed: new Map(),
    strayStops: [],
    late: createLate(),
    passed: createPassed(),
    takeBacks: createTakeBacks(),
    replacing: new Map(),
    dirty: new Set(),
    lastTickMs: 0,
    nowMs: 0,
    wakeAtMs: Infinity,
  };
}

/** One `update` in progress. */
export interface Context {
  readonly state: CoreState;
  readonly now: Now;
  readonly effects: Effect[];
}

/** Asks for a message to be stored; it is folded when it comes back through the tail. Returns its id. */
export function publish<N extends MessageName>(
  context: Context,
  message: {
    subject: string;
    name: N;
    data: MessageData<N>;
    id?: string;
    ttl?: number | 'never';
    unordered?: boolean;
  },
): string {
  const { state, effects } = context;
  state.counter += 1;
  const id = message.id ?? `c${state.epoch}-${state.counter}`;
  effects.push({ ...message, kind: 'publish', id } as PublishEffect); // name and data are one entry's
  return id;
}

export function log(
  context: Context,
  level: 'info' | 'warn' | 'error',
  fields: LogFields,
  text: string,
): void {
  context.effects.push({ kind: 'log', level, fields, text });
}

export function markDirty(state: CoreState, agents: Iterable<string> | 'all'): void {
  if (agents === 'all') state.dirty = 'all';
  else if (state.dirty !== 'all') for (const agent of agents) state.dirty.add(agent);
}
