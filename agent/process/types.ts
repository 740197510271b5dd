/**
 * The words of process supervision: what a step is asked to do and how it ended.
 * Documented for users of this folder in README.md.
 */

import type { EachLimit } from '#protocol/messages/attempt/limits.ts';

/** What supervision stands on, best first. */
export type Rung = 'cgroup' | 'subreaper' | 'scan';

/** What the statement "nothing of this step is left" rests on; `scan` proves nothing. */
export type StopProof = Rung;

/** One step to run. The caller has journalled it before it starts it. */
export interface StepSpec {
  /** argv[0] without a slash is looked up in the PATH of `env`. Never given to a shell. */
  readonly argv: readonly string[];
  /** The child's complete environment; the supervisor adds only BENCHMESH_COOKIE. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** A folder to be made, unless it is there, in one that is: beside the agent, which has others to start. */
  readonly make?: string;
  readonly stdio: 'pipe' | 'pty';
  /** Counted from exec, enforced with the agent dead; null: no limit. */
  readonly budgetMs: number | null;
  /** From the stop signal to KILL; 0 kills at once. */
  readonly graceMs: number;
  /** A signal name, `SIGTERM` if in doubt. */
  readonly stopSignal: string;
  /** Created when a stop begins: the value of $BENCHMESH_STOP. */
  readonly stopFile: string;
  /** How much undelivered output may lie on disk; beyond it output is dropped and counted. */
  readonly logLimitBytes: number;
  /** CPUs its processes may run on; absent: as `bind` says. On the scan rung they are not bound. */
  readonly cpus?: readonly number[];
  /** A step whose limits cannot be enforced on this host is not started. */
  readonly limits?: StepLimits;
}

/** Of the whole step, all its processes together. */
export interface StepLimits {
  /**
   * Processes and threads. Where no cgroup counts them: of the step's user on this host
   * (RLIMIT_NPROC), which does not bind root.
   */
  readonly pids?: number | null | undefined;
  /** Above it, and with nothing to reclaim, the kernel kills: class `oom`. */
  readonly memoryBytes?: number | null | undefined;
  /** Of each of its processes alone (setrlimit): bytes, but for `openFiles`. Root is bound by them too. */
  readonly each?: Partial<Readonly<Record<EachLimit, number | 'unlimited'>>> | undefined;
}

export type StepEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signaled'; readonly signal: string; readonly core: boolean }
  /** The program never ran. `errno` is a name such as ENOENT; `message` one line for a user. */
  | {
      readonly kind: 'exec_failed';
      readonly errno: string;
      readonly reason: ExecFailure;
      readonly message: string;
    }
  /** It ran, and how it ended is not known. Never guessed. */
  | { readonly kind: 'lost'; readonly reason: string };

export type ExecFailure =
  | 'not-found'
  | 'interpreter-missing'
  | 'not-executable'
  | 'not-permitted'
  | 'is-directory'
  | 'corrupt'
  | 'empty'
  | 'no-interpreter-line'
  | 'arguments-too-long'
  | 'cwd'
  /** meshrun itself could not begin: no pids, no disk, no such step folder. */
  | 'supervision'
  | 'other';

export interface StepUsage {
  readonly userMs: number;
  readonly systemMs: number;
  readonly maxRssKiB: number;
}

/** What is known of the step's processes after its end (I5, I9). */
export interface StepGone {
  readonly proof: StopProof;
  /**
   * True only when proven: by ECHILD on the subreaper rung, by that and an empty cgroup on the cgroup
   * rung (by the empty cgroup alone if meshrun was killed), or because nothing ever ran, or the host
   * was rebooted since. A scan never makes it true.
   */
  readonly empty: boolean;
  /** Distinct processes that were signalled or reaped. */
  readonly processes: number;
  readonly reaped: number;
  /** Rounds of signalling; 0 when everything ended by itself. */
  readonly waves: number;
  /** Pids known alive at the end, at most 64 named. */
  readonly survivors: readonly number[];
  /** The strongest signal that was sent, null if none. */
  readonly signal: string | null;
  /** From the begin of the stop to empty; null if there was no stop. */
  readonly goneMs: number | null;
}

export interface StepOutcome {
  readonly end: StepEnd;
  /** The budget began the stop. */
  readonly deadline: boolean;
  /** A stop was asked for before the end, or while orphans were left. */
  readonly stopRequested: boolean;
  /** From exec to the main process's end, on the owner's monotonic clock; null when lost. */
  readonly durationMs: number | null;
  readonly usage: StepUsage | null;
  readonly gone: StepGone;
  /** Processes of it that the kernel killed for want of memory; null where that is not told. */
  readonly oomKills: number | null;
  /** All output of both streams, kept or dropped: the end of the combined offset. */
  readonly logBytes: number;
  readonly droppedBytes: number;
}

/** What the owner of a step hears, each from a fresh turn of the event loop, never from within start(). */
export interface StepEvents {
  /** The pid is on disk; the program may still turn out not to be executable. At most once. */
  onStarted?(pid: number): void;
  /** New bytes are in the segments; at most 50 times a second. */
  onOutput?(): void;
  /** Exactly once. `gone.survivors` not empty: unkillable processes hold on, see onGone. */
  onEnd(outcome: StepOutcome): void;
  /** After an onEnd with survivors, should they end after all. At most once. */
  onGone?(outcome: StepOutcome): void;
}

export interface StepHandle {
  /** Of the main process; null until started. */
  readonly pid: number | null;
  /** Asks for the end. Idempotent; may be called again with less grace or `now`. */
  stop(options?: { readonly graceMs?: number; readonly now?: boolean }): void;
  /** Stops listening; the step itself goes on. No callback comes after it. */
  detach(): void;
}

/** What a returning agent finds in a step's folder (I8). */
export type Adoption =
  | { readonly kind: 'alive'; readonly handle: StepHandle }
  | { readonly kind: 'ended'; readonly outcome: StepOutcome }
  /** Nothing ever ran there, and no earlier start can still come: start() may be called. */
  | { readonly kind: 'not_started' };

/** What the caller has journalled of a step's start. */
export interface KnownStart {
  /** Of its main process, if that was heard. */
  readonly pid: number | null;
  /** A variable in the environment of the step's processes, and of no others. */
  readonly variable: { readonly name: string; readonly value: string };
}

/** Takes up steps of one rung. */
export interface Adopter {
  adopt(stepDir: string, events: StepEvents, known?: KnownStart): Promise<Adoption>;
  close(): void;
}

export interface Supervisor extends Adopter {
  readonly rung: Rung;
  /** Why it is not the best rung there is; null if it is. */
  readonly degraded: string | null;
  /** Makes the folder of a step in a folder that exists; it may exist. Throws system errors. */
  makeFolder(stepDir: string): void;
  /**
   * The step is over for good and nothing will be read from its folder any more: it may become that of
   * another step.
   */
  releaseFolder(stepDir: string): void;
  /** `stepDir` exists and has never seen a start (or adopt said not_started). Never throws. */
  start(stepDir: string, spec: StepSpec, events: StepEvents): StepHandle;
  /**
   * Takes up a step started by an agent that died, on whichever rung. `events` serves an `alive` one
   * only. `known`: its start was journalled, so that a folder without a record does not mean that
   * nothing ran, but that its processes have removed it.
   */
  adopt(stepDir: string, events: StepEvents, known?: KnownStart): Promise<Adoption>;
  /** Where the agent and its helpers run from now on, and what a step has that starts after it. */
  bind(binding: Binding): void;
  /** Detaches from everything; steps go on. */
  close(): void;
}

/** Nothing is bound on the scan rung. */
export interface Binding {
  /** CPUs of all threads of the agent, of what starts steps and of what watches over each. */
  readonly own: readonly number[];
  /** CPUs of a step that is bound to none of its own; null: where the helpers run. */
  readonly steps: readonly number[] | null;
}
