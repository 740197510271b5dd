/**
 * The one error of the mesh. Expected results are unions; a MeshError is for what ends an
 * operation: it has a code that docs/cli.md explains and that maps to an exit status.
 *
 * Bugs are not MeshErrors: they throw whatever they throw and reach the process's supervisor.
 */

/** Exit statuses of the CLI; documented in docs/cli.md. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  benchmarkFailed: 3,
  notPermitted: 4,
  notFound: 5,
  busy: 6,
  unreachable: 7,
  stopOpen: 8,
  alreadyEnded: 9,
  timedOut: 124,
  interrupted: 130,
} as const;
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

interface ErrorRule {
  readonly exit: ExitStatus;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** What the code means, as docs/cli.md prints it. */
  readonly meaning: string;
}

/** Every code there is. docs/cli.md and the exit statuses are generated from and tested against it. */
export const ERROR_CODES = {
  usage: { exit: EXIT.usage, retryable: false, meaning: 'a flag or an argument is wrong' },
  suite_invalid: { exit: EXIT.usage, retryable: false, meaning: 'the suite file is wrong' },
  suite_too_large: {
    exit: EXIT.usage,
    retryable: false,
    meaning: 'the suite expands to more tasks or bytes than a run may have',
  },
  file_not_found: {
    exit: EXIT.usage,
    retryable: false,
    meaning: 'a file named on the command line cannot be read',
  },
  config_invalid: {
    exit: EXIT.usage,
    retryable: false,
    meaning: 'a setting or environment variable is wrong',
  },
  not_permitted: {
    exit: EXIT.notPermitted,
    retryable: false,
    meaning: 'the credential does not allow it',
  },
  not_found: {
    exit: EXIT.notFound,
    retryable: false,
    meaning: 'no such run, task, attempt or agent',
  },
  busy: {
    exit: EXIT.busy,
    retryable: true,
    meaning:
      'another run holds the hosts, or one of the same suite is live, and the caller asked not to queue',
  },
  mesh_unreachable: {
    exit: EXIT.unreachable,
    retryable: true,
    meaning: 'no nats-server answers at the address',
  },
  no_coordinator: {
    exit: EXIT.unreachable,
    retryable: true,
    meaning: 'the server answers but no coordinator leads',
  },
  agent_unreachable: {
    exit: EXIT.unreachable,
    retryable: true,
    meaning: 'the agent that has to answer does not',
  },
  server_too_old: {
    exit: EXIT.unreachable,
    retryable: false,
    meaning: 'the nats-server is older than 2.11',
  },
  jetstream_disabled: {
    exit: EXIT.unreachable,
    retryable: false,
    meaning: 'the nats-server runs without JetStream',
  },
  stream_config_mismatch: {
    exit: EXIT.unreachable,
    retryable: false,
    meaning: 'a stream is not configured as the mesh needs it',
  },
  server_binary: {
    exit: EXIT.failed,
    retryable: false,
    meaning: 'no usable nats-server program was found',
  },
  port_taken: {
    exit: EXIT.failed,
    retryable: true,
    meaning: 'the port for the embedded server is in use',
  },
  state_unwritable: {
    exit: EXIT.failed,
    retryable: false,
    meaning: 'the state folder cannot be written',
  },
  disk_full: {
    exit: EXIT.failed,
    retryable: true,
    meaning: 'the disk of the state folder is full',
  },
  start_failed: {
    exit: EXIT.failed,
    retryable: true,
    meaning: 'a process of the local mesh did not start',
  },
  agent_id_taken: {
    exit: EXIT.failed,
    retryable: false,
    meaning: 'another state folder is registered under this agent id',
  },
  agent_present: {
    exit: EXIT.busy,
    retryable: false,
    meaning: 'the agent is there: it is not forgotten without --force',
  },
  agent_locked: {
    exit: EXIT.failed,
    retryable: false,
    meaning: 'another agent process holds this state folder',
  },
  meshrun_unusable: {
    exit: EXIT.failed,
    retryable: false,
    meaning: 'the supervision helper cannot run here',
  },
  deposed: { exit: EXIT.failed, retryable: false, meaning: 'another coordinator leads now' },
  fenced: { exit: EXIT.failed, retryable: false, meaning: 'another writer owns this subject' },
  protocol: {
    exit: EXIT.failed,
    retryable: false,
    meaning: 'a message of a type or version this program does not read',
  },
  already_ended: {
    exit: EXIT.alreadyEnded,
    retryable: false,
    meaning: 'the run or task has ended already',
  },
  not_paused: {
    exit: EXIT.failed,
    retryable: false,
    meaning: 'the run or task is not paused',
  },
  stop_open: {
    exit: EXIT.stopOpen,
    retryable: true,
    meaning: 'the stop is still open, unproven, or a process cannot be killed',
  },
  audit_mismatch: {
    exit: EXIT.failed,
    retryable: false,
    meaning: 'what was archived or shown differs from the fold of the log',
  },
  timed_out: {
    exit: EXIT.timedOut,
    retryable: true,
    meaning: 'the time allowed for the call is over',
  },
  internal: { exit: EXIT.failed, retryable: false, meaning: 'a defect of benchmesh itself' },
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof ERROR_CODES;

export class MeshError extends Error {
  override readonly name = 'MeshError';
  readonly code: ErrorCode;

  /** `message` is one line: what is wrong, where, and what to do. */
  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }

  get exit(): ExitStatus {
    return ERROR_CODES[this.code].exit;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }
}

/** Whatever was thrown, as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The errno name of a system error (`ENOSPC`), or null. */
export function errnoOf(thrown: unknown): string | null {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string')
    return thrown.code;
  return null;
}
