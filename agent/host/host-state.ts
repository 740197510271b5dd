/** What the host's actor knows, is told and asks for. The rules are in host-reducer.ts. */
import type { RevokeCommand, StopCause, StopCommand } from '#protocol/messages/run/command.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import type { StoppedAttempt } from '#protocol/messages/agent/host.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import type { AttemptOutcome, FailureClass, Stage } from '#protocol/messages/attempt/outcome.ts';
import type { AttemptEnd, Verdict } from '../attempt/attempt-state.ts';
import type { Peers } from '../attempt/gang-peers.ts';
import type { Go } from '../attempt/go.ts';
import type { CpuLayout } from '../cpus/cpu-policy.ts';

/** The newest stop of a run or task: a start that does not know of it never runs (I6). */
export interface StopFloor {
  /** In BM_COMMANDS. */
  readonly sequence: number;
  /** Counts how often the stream began anew: sequences of two eras do not compare. */
  readonly era: number;
  /** It is a pause: what it keeps from beginning is given back. */
  readonly isPause?: true;
  /** What it keeps from beginning ends by this, as what it ended did. */
  readonly cause?: StopCause;
}

/** An attempt that was accepted and has not ended, or whose survivors still live. */
export interface LiveAttempt {
  readonly key: string;
  readonly ref: AttemptRef;
  readonly needs: Needs;
  readonly priority: number;
  /** Ended when the host has been cut off for so long; absent: it goes on. */
  readonly stopAfterMs?: number;
  /** What the host must be prepared with before it (host-setup-rules.ts); absent: nothing. */
  readonly setup?: string;
  /** Era and stream sequence of its start: the order of arrival. */
  readonly era: number;
  readonly sequence: number;
  /** Among the starts of one command; absent: it is the first, or the only one. */
  readonly place?: number;
  readonly afterStop: number;
  /**
   * `queued`: nothing ran; `running`: holds its claim; `ending`: no process is left; `fenced`: ended,
   * but holds its claim until its survivors are gone (I5).
   */
  readonly stage: 'queued' | 'running' | 'ending' | 'fenced';
  /** The slots it holds while running or fenced. */
  readonly slots: readonly number[];
  /** Ids of the GPUs it holds, and the CPUs its processes are bound to, as with slots. */
  readonly gpus: readonly string[];
  readonly cpus: readonly number[];
  /** What it was said to wait for, behind a fence. */
  readonly waitsFor?: string;
  /** How it ended, once it is fenced: what a later stop is answered with. */
  readonly stopped?: StoppedAttempt;
}

/** A stop that is not done: it waits for these attempts (I5). */
export interface OpenStop {
  readonly command: string;
  readonly era: number;
  readonly sequence: number;
  readonly stop: StopCommand;
  readonly waiting: ReadonlySet<string>;
  readonly ended: readonly StoppedAttempt[];
  /** Its receipt was said. Not in the journal: a returning agent says it at once, as one that was said before. */
  readonly isReceiptSaid: boolean;
}

export interface HostState {
  readonly slots: number;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly live: ReadonlyMap<string, LiveAttempt>;
  /** Newest stop by target, `run` or `run/task` (I6). */
  readonly floors: ReadonlyMap<string, StopFloor>;
  readonly openStops: ReadonlyMap<string, OpenStop>;
  /** Attempts that end because they were superseded, by key: the command that is answered then. */
  readonly revoking: ReadonlyMap<string, string>;
  /** Runs to drop as soon as nothing of them lives. */
  readonly releasing: ReadonlySet<string>;
  readonly isDraining: boolean;
  /** The process drains to end: nothing but that takes it back. */
  readonly isEnding: boolean;
  /** Of a host that came back: nothing begins yet, since what ends it may wait in the mailbox. */
  readonly isUnread: boolean;
  /** Why nothing is started now: the state folder's disk is full. */
  readonly blocked: string | null;
  readonly gpus: GpuSight;
  /** CPUs to bind attempts to; null: none is bound. */
  readonly layout: CpuLayout | null;
  /** What the host is or is being prepared with: `done`, or the key of the attempt that makes it. */
  readonly setups: ReadonlyMap<string, string>;
}

/** The GPUs as last looked at, fences included. */
export interface GpuSight {
  readonly gpus: readonly Gpu[];
  /** False while a tool has not answered since the start. */
  readonly isKnown: boolean;
  /** Monotonic time of the last look; null before one of this process. */
  readonly lookedMs: number | null;
  /** A look was asked for, or one that is to come by itself in a moment. */
  readonly asked: 'look' | 'recheck' | null;
}

export type HostMessage =
  | {
      readonly kind: 'start';
      readonly command: string;
      readonly era: number;
      readonly sequence: number;
      /** Among the starts of its command; absent: it is the only one. */
      readonly place?: number;
      readonly spec: AttemptSpec;
      readonly afterStop: number;
      readonly priority: number;
    }
  | {
      readonly kind: 'revoke';
      readonly command: string;
      readonly ref: RevokeCommand;
      readonly isKnown: boolean;
    }
  | ({ readonly kind: 'go'; readonly key: string; readonly barrier: string } & Go)
  | ({ readonly kind: 'peers'; readonly key: string } & Peers)
  | {
      readonly kind: 'stop';
      readonly command: string;
      readonly era: number;
      readonly sequence: number;
      readonly stop: StopCommand;
    }
  /** A stop that is not done by now is said to have been received. */
  | { readonly kind: 'say_received'; readonly command: string }
  | { readonly kind: 'release'; readonly run: string }
  /** Its folder has been left alone for so long that nobody will release it. */
  | { readonly kind: 'forget_run'; readonly run: string }
  | { readonly kind: 'drain'; readonly reason: string; readonly isEnding?: true }
  | { readonly kind: 'undrain'; readonly reason: string }
  /** It has prepared the host, or could not; null: it has. */
  | { readonly kind: 'set_up'; readonly key: string; readonly failure: Verdict | null }
  /** No process of it is left. */
  | { readonly kind: 'freed'; readonly key: string }
  | { readonly kind: 'ended'; readonly key: string; readonly end: AttemptEnd }
  | { readonly kind: 'disk'; readonly blocked: string | null }
  /** The server has not been reached for so long. */
  | { readonly kind: 'cut_off'; readonly forMs: number }
  /** Looked at, or what is known of them has changed. */
  | {
      readonly kind: 'gpus';
      readonly gpus: readonly Gpu[];
      readonly isKnown: boolean;
      readonly isLook: boolean;
    }
  | { readonly kind: 'recheck' }
  | { readonly kind: 'restore'; readonly restored: RestoredHost }
  /** The mailbox was read through, once. */
  | { readonly kind: 'mail_read' };

/** What the journal says of the time before this process. */
export interface RestoredHost {
  readonly live: readonly LiveAttempt[];
  readonly floors: ReadonlyMap<string, StopFloor>;
  /** With what had already ended under them. */
  readonly openStops: readonly Omit<OpenStop, 'waiting' | 'isReceiptSaid'>[];
  readonly isDraining: boolean;
  readonly setups: ReadonlyMap<string, string>;
}

export type HostEffect =
  /** From now on nothing starts here. */
  | { readonly kind: 'say_draining'; readonly reason: string }
  | { readonly kind: 'say_undrained'; readonly reason: string }
  /** Journalled by now: make its actor, which says accepted. */
  | {
      readonly kind: 'accept';
      readonly key: string;
      readonly command: string;
      readonly spec: AttemptSpec;
    }
  /** It waits for survivors, for GPUs that are fenced, or for its host to be prepared; said again when the reason is another. */
  | { readonly kind: 'behind_fence'; readonly key: string; readonly reason: string }
  | {
      readonly kind: 'begin';
      readonly key: string;
      readonly slots: readonly number[];
      readonly gpus: readonly Gpu[];
      readonly cpus: readonly number[];
      /** It prepares the host for those that need the same. */
      readonly makesSetup: boolean;
    }
  /** All CPUs that are bound to attempts, ascending: others than before. */
  | { readonly kind: 'pinned'; readonly cpus: readonly number[] }
  /** The GPUs are to be looked at: now, or in a while, since something waits for one that is fenced. */
  | { readonly kind: 'look' | 'look_later' }
  | {
      readonly kind: 'refuse';
      readonly key: string;
      /** `drained`: it is given back, to be run elsewhere. */
      readonly class: FailureClass | null;
      readonly reason: string | null;
      /** Absent: `provision`, where it has failed or was drained. */
      readonly outcome?: AttemptOutcome;
      readonly stage?: Stage;
    }
  /** Its suite does not want it to go on without a server. */
  | { readonly kind: 'cut_off'; readonly key: string; readonly reason: string }
  | {
      readonly kind: 'stop_attempt';
      readonly key: string;
      readonly command: string;
      readonly stop: StopCommand;
      /** By its revoke. */
      readonly isSuperseded?: true;
    }
  /** Every rank of its gang is ready. */
  | ({ readonly kind: 'go'; readonly key: string; readonly barrier: string } & Go)
  | ({ readonly kind: 'peers'; readonly key: string } & Peers)
  | { readonly kind: 'say_received_soon'; readonly command: string }
  | {
      readonly kind: 'stop_received';
      readonly command: string;
      readonly run: string;
      readonly attempts: number;
    }
  | {
      readonly kind: 'stop_done';
      readonly command: string;
      readonly stop: StopCommand;
      readonly attempts: readonly StoppedAttempt[];
      /** False: this is the first word about it, and says that it was received, too. */
      readonly isReceiptSaid: boolean;
    }
  | {
      readonly kind: 'revoke_answered';
      readonly command: string;
      readonly ref: RevokeCommand;
      /** `revoked`: nothing of it ever ran or will; its exit says so. */
      readonly answer: 'revoked' | 'started' | 'unknown';
      readonly stopped?: StoppedAttempt;
    }
  | { readonly kind: 'drop_run'; readonly run: string }
  /** Nothing of it lives: its folder may go. */
  | { readonly kind: 'forget_run'; readonly run: string };

export function newHost(slots: number, cpus: number, layout: CpuLayout | null = null): HostState {
  return {
    slots,
    cpus,
    memoryMiB: Infinity,
    live: new Map(),
    floors: new Map(),
    openStops: new Map(),
    revoking: new Map(),
    releasing: new Set(),
    isDraining: false,
    isEnding: false,
    isUnread: false,
    blocked: null,
    gpus: { gpus: [], isKnown: true, lookedMs: null, asked: null },
    layout,
    setups: new Map(),
  };
}

/** Of a setup that was made; no key of an attempt. */
export const SETUP_DONE = 'done';

export function targetOf(run: string, task: string | null): string {
  return task === null ? run : `${run}/${task}`;
}

export function floorOf(
  { pause, cause }: Pick<StopCommand, 'pause' | 'cause'>,
  place: Pick<StopFloor, 'sequence' | 'era'>,
): StopFloor {
  return {
    ...place,
    ...(pause === true ? { isPause: true } : {}),
    ...(cause === undefined ? {} : { cause }),
  };
}
