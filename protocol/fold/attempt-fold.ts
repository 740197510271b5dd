/**
 * One attempt, folded from its agent's events. Forward only (I3): an event that would take the
 * state, the phase, the progress or the elapsed time back changes nothing.
 */
import { STEPS, type StepName } from '../messages/attempt/attempt-spec.ts';
import type {
  Acceptance,
  AttemptCollected,
  AttemptExited,
  LostFile,
} from '../messages/attempt/attempt.ts';
import type { StoredFile } from '../messages/attempt/stored-file.ts';
import type { AttemptResumed, Checkpoint } from '../messages/attempt/checkpoint.ts';
import type { AttemptResources } from '../messages/agent/resources.ts';
import type { AttemptStageMeasured } from '../messages/attempt/ramp-events.ts';
import type { AttemptHealth } from '../messages/attempt/health.ts';
import type { Message } from '../messages/envelope.ts';
import type { GangFold } from './gang-fold.ts';

export type AttemptState = 'accepted' | StepName | 'exited';

export interface SaidMessage {
  /** Of the attempt. */
  readonly elapsedMs: number;
  readonly text: string;
}

export interface AttemptFold {
  readonly n: number;
  readonly agent: string;
  readonly host: string;
  readonly address: string;
  readonly acceptedMs: number;
  state: AttemptState;
  startedMs: number | null;
  exitedMs: number | null;
  /** The owner's monotonic clock since it got its slots, at its last event. */
  elapsedMs: number;
  phase: string | null;
  phaseIndex: number;
  progress: number | null;
  pid: number | null;
  adoptions: number;
  stopping: {
    readonly command: string;
    readonly by: string;
    readonly reason: string | null;
  } | null;
  malformedReport: string | null;
  /** What the benchmark has told people, the last of it. */
  readonly messages: SaidMessage[];
  /** The last change of each rule of the suite's health. */
  readonly health: AttemptHealth[];
  /** In the order they were stored: of a path the last one counts, all of them stay stored with the run. */
  readonly files: StoredFile[];
  /** What was not kept, as of its end and of every collection after it. */
  filesLost: readonly LostFile[];
  /** The last collection that somebody asked for. */
  collected: {
    readonly id: string;
    readonly by: string;
    readonly files: number;
    readonly isDone: boolean;
  } | null;
  /** Those that stay stored, oldest first. */
  readonly checkpoints: Checkpoint[];
  /** Why the last that was not stored was not. */
  checkpointRefused: string | null;
  /** What it began with; null where it began anew. */
  resumed: Omit<AttemptResumed, 'elapsedMs'> | null;
  /** What it waits for on its host; null once it began, or where it only waits its turn. */
  waiting: string | null;
  /** The step that it waits to begin with the other ranks of its gang. */
  barrier: string | null;
  resources: AttemptResources | null;
  exited: AttemptExited | null;
  /** When the last of its survivors had gone; absent where none was left, or some still are. */
  survivorsGoneMs?: number;
  /** Its task went on without it: nothing that it came to is the task's. */
  superseded: boolean;
  /** Of a rank of a gang that is started in steps: what it has measured in each stage. */
  stages?: AttemptStageMeasured[];
  /** Of an attempt on several hosts: then all of this is the fold of its ranks (gang-fold.ts). */
  readonly gang?: GangFold;
}

/** Of a longer talk the last lines are kept (I12). */
const MESSAGES_KEPT = 3;

/** How far it is. */
export const attemptRank = (state: AttemptState): number =>
  state === 'accepted' ? 0 : state === 'exited' ? STEPS.length + 1 : STEPS.indexOf(state) + 1;

/** What the event says of who took the attempt; null for those that come after its first. */
export function acceptanceIn({ name, data }: Message): Acceptance | null {
  if (name === 'attempt.accepted') return data;
  return name === 'attempt.step_started' ? (data.accepted ?? null) : null;
}

export function createAttemptFold(
  n: number,
  agent: string,
  accepted: { host: string; address: string; timeMs: number },
): AttemptFold {
  return {
    n,
    agent,
    host: accepted.host,
    address: accepted.address,
    acceptedMs: accepted.timeMs,
    state: 'accepted',
    startedMs: null,
    exitedMs: null,
    elapsedMs: 0,
    phase: null,
    phaseIndex: -1,
    progress: null,
    pid: null,
    adoptions: 0,
    stopping: null,
    malformedReport: null,
    messages: [],
    health: [],
    files: [],
    filesLost: [],
    collected: null,
    checkpoints: [],
    checkpointRefused: null,
    resumed: null,
    waiting: null,
    barrier: null,
    resources: null,
    exited: null,
    superseded: false,
  };
}

/** Applies an attempt event; false when it changed nothing because it came late or twice. */
export function applyToAttempt(fold: AttemptFold, message: Message, timeMs: number): boolean {
  if (message.name === 'attempt.survivors_gone') {
    if (fold.exited === null || fold.survivorsGoneMs !== undefined) return false;
    fold.survivorsGoneMs = timeMs;
    return true;
  }
  if (message.name === 'attempt.collected') applyCollected(fold, message.data);
  else if (fold.state === 'exited') return false;
  switch (message.name) {
    case 'attempt.step_started':
      if (attemptRank(message.data.step) < attemptRank(fold.state)) return false;
      fold.state = message.data.step;
      fold.pid = message.data.pid;
      fold.startedMs ??= timeMs;
      fold.waiting = null;
      fold.barrier = null;
      fold.resources ??= message.data.resources ?? null;
      break;
    case 'attempt.ready':
      fold.barrier = message.data.barrier;
      break;
    case 'attempt.stage_measured': {
      const { stage } = message.data;
      if (fold.stages?.some((one) => one.stage === stage) === true) return false;
      (fold.stages ??= []).push(message.data);
      break;
    }
    case 'attempt.waiting':
      if (fold.state !== 'accepted' || fold.waiting === message.data.reason) return false;
      fold.waiting = message.data.reason;
      break;
    case 'attempt.phase':
      if (message.data.index <= fold.phaseIndex) return false;
      fold.phase = message.data.phase;
      fold.phaseIndex = message.data.index;
      break;
    case 'attempt.progress':
      if (fold.progress !== null && message.data.progress <= fold.progress) return false;
      fold.progress = message.data.progress;
      break;
    case 'attempt.adopted':
      fold.adoptions += 1;
      break;
    case 'attempt.stopping':
      fold.stopping ??= {
        command: message.data.command,
        by: message.data.by,
        reason: message.data.reason,
      };
      break;
    case 'attempt.file_stored':
      if (!keepFile(fold.files, message.data.file)) return false;
      break;
    case 'attempt.collected':
      break;
    case 'attempt.checkpointed': {
      const { number, files, keep } = message.data;
      if (number <= (fold.checkpoints.at(-1)?.number ?? 0)) return false;
      fold.checkpoints.push({ number, files });
      fold.checkpoints.splice(0, Math.max(0, fold.checkpoints.length - keep));
      break;
    }
    case 'attempt.checkpoint_refused':
      fold.checkpointRefused = message.data.reason;
      break;
    case 'attempt.resumed': {
      const { elapsedMs: _elapsedMs, ...resumed } = message.data;
      fold.resumed = resumed;
      break;
    }
    case 'attempt.message':
      fold.messages.push({ elapsedMs: message.data.elapsedMs, text: message.data.text });
      if (fold.messages.length > MESSAGES_KEPT) fold.messages.shift();
      break;
    case 'attempt.health': {
      const { data } = message;
      const at = fold.health.findIndex(({ rule }) => rule === data.rule);
      fold.health.splice(at < 0 ? fold.health.length : at, 1, data);
      break;
    }
    case 'attempt.report_malformed':
      fold.malformedReport ??= message.data.line;
      break;
    case 'attempt.exited':
      fold.state = 'exited';
      fold.exitedMs = timeMs;
      fold.exited = message.data;
      fold.filesLost = message.data.filesLost ?? [];
      fold.waiting = null;
      fold.barrier = null;
      fold.resources ??= message.data.resources ?? null;
      break;
    default:
      return false;
  }
  fold.elapsedMs = Math.max(fold.elapsedMs, message.data.elapsedMs);
  return true;
}

/** What is missing is so only once the attempt has ended: until then it may still come. */
function applyCollected(fold: AttemptFold, { id, by, files, lost }: AttemptCollected): void {
  const before = fold.collected?.id === id ? fold.collected.files : 0;
  keepFiles(fold.files, files);
  fold.collected = { id, by, files: before + files.length, isDone: lost !== undefined };
  if (lost !== undefined && fold.state === 'exited') fold.filesLost = lost;
}

/** As the last of its path; false where it is that already. */
function keepFile(files: StoredFile[], file: StoredFile): boolean {
  const last = files.findLast(({ path, kind }) => path === file.path && kind === file.kind);
  if (last?.sha256 === file.sha256) return false;
  keepFiles(files, [file]);
  return true;
}

function keepFiles(files: StoredFile[], added: readonly StoredFile[]): void {
  const keyOf = ({ kind, path, sha256 }: StoredFile): string => `${kind} ${sha256} ${path}`;
  const last = new Map(added.map((file) => [keyOf(file), file]));
  const others = files.filter((file) => !last.has(keyOf(file)));
  files.length = 0;
  for (const file of [...others, ...last.values()]) files.push(file);
}

/** Of each path the last, by path. */
export function lastFiles(files: readonly StoredFile[]): StoredFile[] {
  const last = new Map(files.map((file) => [`${file.path} ${file.kind}`, file]));
  return [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
}
