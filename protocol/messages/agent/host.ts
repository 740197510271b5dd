/** What an agent says about itself: registration, host events, heartbeats, acks. */
import { z } from 'zod';
import { Accepts } from './accepts.ts';
import { Hardware } from './hardware.ts';
import { RunId, Token } from '../ids.ts';
import { Labels } from './labels.ts';
import { Proof } from '../attempt/outcome.ts';

/** What agents of this version say that they read. */
export const READS: readonly string[] = ['command.starts'];

/** Value of BM_AGENTS `<agent>`: created once with its instance, then updated by its owner. */
export const Registration = z.object({
  agent: Token,
  /** Identity of the state folder; another instance under this id is refused. */
  instance: z.string(),
  incarnation: z.number().int().positive(),
  version: z.string(),
  /** Agents on one machine share it: `exclusive` is by host id. */
  hostId: z.string(),
  hostname: z.string(),
  address: z.string(),
  pid: z.number().int(),
  bootId: z.string(),
  os: z.string(),
  kernel: z.string(),
  cpuModel: z.string(),
  /** What attempts may use here, limits of cgroups and affinity counted. As at the agent's start. */
  cpus: z.number().int().positive(),
  /** CPUs that no attempt gets: the agent runs on them; `0-1,8`. */
  reservedCpus: z.string().optional(),
  /** Likewise, for memory. */
  memoryMiB: z.number().int().positive(),
  slots: z.number().int().positive(),
  rung: Proof,
  /** Why supervision is below its best on this host; null when it is not. */
  degraded: z.string().nullable(),
  stateDir: z.string(),
  logFile: z.string(),
  /** What the host has, as last looked at. */
  hardware: Hardware.optional(),
  labels: Labels.optional(),
  /** Absent: it takes whatever fits. */
  accepts: Accepts.optional(),
  /** Commands that it reads beyond those which every agent does; others of these are not given to it. */
  reads: z.array(z.string()).optional(),
});
export type Registration = z.infer<typeof Registration>;

/** The agent process began, with what it is and has. On the host subject. */
export const AgentStarted = z.object({ registration: Registration, adopted: z.number().int() });

/** What the host is or has is not what was said before: all of it, as it is now. On the host subject. */
export const AgentChanged = z.object({
  registration: Registration,
  /** What is different, for people. */
  changes: z.array(z.string()),
});

/**
 * Nothing is started here any more; what runs goes on, what had not begun is given back. Holds until
 * the agent begins again, and says it again, or `agent.undrained`.
 */
export const AgentDraining = z.object({ reason: z.string() });

/** What was said by `agent.draining` is over: it takes work again. */
export const AgentUndrained = z.object({ reason: z.string() });

/** The agent process ends in order. */
export const AgentStopping = z.object({ reason: z.string() });

/** A message this agent could not read: its type or version is unknown, or it is malformed. */
export const MessageRejected = z.object({
  subject: z.string(),
  sequence: z.number().int().nullable(),
  type: z.string().nullable(),
  reason: z.string(),
});
export type MessageRejected = z.infer<typeof MessageRejected>;

/** The coordinator's observation: silent past its lease. On the fleet subject. */
export const AgentUnreachable = z.object({ silentMs: z.number().nonnegative() });
/** The coordinator's observation: heard again. */
export const AgentReturned = z.object({ incarnation: z.number().int() });

/** The coordinator hands it nothing new, whoever restarts, until `agent.uncordoned`. On the fleet subject. */
export const AgentCordoned = z.object({ by: z.string(), reason: z.string().nullable() });
export type AgentCordoned = z.infer<typeof AgentCordoned>;
export const AgentUncordoned = z.object({ by: z.string(), reason: z.string().nullable() });

/**
 * An operator takes it to be gone for good: nobody waits for it, or for what it was given, any more; whether
 * that is dead is not verified. On the fleet subject. Whoever starts under its id afterwards is new.
 */
export const AgentForgotten = z.object({
  by: z.string(),
  reason: z.string().nullable(),
  /** Starts for it up to here in BM_COMMANDS are meant. */
  throughSequence: z.number().int().nonnegative(),
});

/** Core message each 2 s; not stored. */
export const Heartbeat = z.object({
  agent: Token,
  instance: z.string(),
  incarnation: z.number().int(),
  /** Attempts running and queued on the agent. */
  running: z.number().int(),
  queued: z.number().int(),
  /** Free bytes on the state folder's disk. */
  diskFreeBytes: z.number(),
});
export type Heartbeat = z.infer<typeof Heartbeat>;

/** What became of one attempt under a stop. */
export const StoppedAttempt = z.object({
  run: RunId,
  task: Token,
  n: z.number().int().positive(),
  /** Processes alive when the stop reached it; 0 when it had not started. */
  processes: z.number().int().nonnegative(),
  /** Last signal that was needed; null when none was. */
  signal: z.string().nullable(),
  /** From the stop's arrival to the last process gone, the owner's clock. */
  goneMs: z.number().nonnegative(),
  proof: Proof,
  proven: z.boolean(),
  survivors: z.array(z.number().int()),
});
export type StoppedAttempt = z.infer<typeof StoppedAttempt>;

/** An agent has journalled the command. */
export const CommandReceived = z.object({
  kind: z.string(),
  attempts: z.number().int(),
  /** Of the stop: one that comes after the purge of its run is known by it. */
  run: RunId.optional(),
});

/** An agent has finished a stop: every attempt it had under it has ended as stated (I5). */
export const StopDone = z.object({
  run: RunId,
  task: Token.nullable(),
  attempts: z.array(StoppedAttempt),
});
export type StopDone = z.infer<typeof StopDone>;

/** Answer to `revoke`. */
export const RevokeAnswered = z.object({
  run: RunId,
  task: Token,
  n: z.number().int().positive(),
  answer: z.enum(['revoked', 'started', 'unknown']),
  /** Of one that was superseded and had not ended: what ended of it. */
  stopped: StoppedAttempt.optional(),
});

/** The leader's claim, on the epoch subjects of BM_EVENTS and BM_COMMANDS (I1). */
export const LeaderElected = z.object({
  coordinator: z.string(),
  epoch: z.number().int().positive(),
  host: z.string(),
  pid: z.number().int(),
  version: z.string(),
});
