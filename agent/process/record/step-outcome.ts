/** From a step's record to its outcome. Pure. */
import { constants } from 'node:os';
import { errnoName } from './errno.ts';
import { utf8Of, type ExecFailed, type Exited, type StepRecord } from './step-record.ts';
import type { ExecFailure, StepEnd, StepGone, StepOutcome } from '../types.ts';

const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    .filter(([name]) => name !== 'SIGIOT' && name !== 'SIGPOLL' && name !== 'SIGUNUSED')
    .map(([name, number]): [number, string] => [number, name]),
);

export function signalName(number: number): string {
  return SIGNAL_NAMES.get(number) ?? `SIG${number}`;
}

/**
 * Null while the step goes on. With survivors it has an outcome before it is complete, but for
 * `logBytes`: that is in the segments, not in the record.
 */
export function outcomeOf(record: StepRecord): StepOutcome | null {
  const { gone, survivors } = record;
  if (gone !== undefined) {
    return {
      ...common(record),
      oomKills: gone.oomKills ?? null,
      gone: {
        proof: gone.proof ?? 'subreaper',
        empty: gone.empty,
        processes: gone.processes,
        reaped: gone.reaped,
        waves: gone.waves,
        survivors: gone.survivors ?? [],
        signal: gone.signal === 0 ? null : signalName(gone.signal),
        goneMs: gone.goneUs < 0 ? null : gone.goneUs / 1000,
      },
      logBytes: gone.logBytes,
      droppedBytes: gone.droppedStdout + gone.droppedStderr,
    };
  }
  if (survivors === undefined) return null;
  const left: StepGone = {
    proof: record.started?.cgroup === undefined ? 'subreaper' : 'cgroup',
    empty: false,
    processes: survivors.count,
    reaped: 0,
    waves: 1,
    survivors: survivors.pids,
    signal: 'SIGKILL',
    goneMs: null,
  };
  return { ...common(record), gone: left, oomKills: null, logBytes: 0, droppedBytes: 0 };
}

/** For a start that never came to run anything: nothing is left of it, and that is certain. */
export function notStartedOutcome(
  errno: string,
  reason: ExecFailure,
  message: string,
): StepOutcome {
  return {
    end: { kind: 'exec_failed', errno, reason, message },
    deadline: false,
    stopRequested: false,
    durationMs: 0,
    usage: null,
    oomKills: null,
    gone: {
      proof: 'subreaper',
      empty: true,
      processes: 0,
      reaped: 0,
      waves: 0,
      survivors: [],
      signal: null,
      goneMs: null,
    },
    logBytes: 0,
    droppedBytes: 0,
  };
}

/**
 * For a folder that has the record of a start already: this one ran nothing, and of what may still run
 * there nothing is known.
 */
export function startedBeforeOutcome(message: string): StepOutcome {
  const none = notStartedOutcome('EEXIST', 'supervision', message);
  return { ...none, gone: { ...none.gone, proof: 'scan', empty: false } };
}

type Ending = Omit<StepOutcome, 'gone' | 'oomKills' | 'logBytes' | 'droppedBytes'>;

function common(record: StepRecord): Ending {
  const { exited, stopping, gone } = record;
  const end = endOf(record);
  return {
    end,
    deadline: (gone ?? exited ?? stopping)?.deadline ?? false,
    stopRequested: (gone ?? exited ?? stopping)?.stopRequested ?? false,
    durationMs: exited === undefined ? (end.kind === 'lost' ? null : 0) : exited.durationUs / 1000,
    usage:
      exited === undefined
        ? null
        : {
            userMs: exited.userUs / 1000,
            systemMs: exited.systemUs / 1000,
            maxRssKiB: exited.maxRssKiB,
          },
  };
}

function endOf({ exited, exec_failed: failed, gone }: StepRecord): StepEnd {
  if (failed !== undefined) return failureOf(failed);
  if (exited === undefined) {
    return { kind: 'lost', reason: gone?.reason ?? 'its main process could not be killed' };
  }
  return endOfExited(exited);
}

function endOfExited(exited: Exited): StepEnd {
  if (exited.signal !== undefined) {
    return { kind: 'signaled', signal: signalName(exited.signal), core: exited.core ?? false };
  }
  if (exited.code !== undefined) return { kind: 'exited', code: exited.code };
  return { kind: 'lost', reason: 'its record has neither code nor signal' };
}

const SENTENCES: Readonly<Record<string, (path: string) => string>> = {
  'not-found': (path) => `program not found: ${path}`,
  'interpreter-missing': (path) => `the interpreter or loader that ${path} names does not exist`,
  'not-executable': (path) => `not executable: ${path}`,
  'not-permitted': (path) => `not permitted to execute: ${path}`,
  'is-directory': (path) => `is a directory, not a program: ${path}`,
  corrupt: (path) => `corrupt binary, or one for another machine: ${path}`,
  empty: (path) => `empty or not a program: ${path}`,
  'no-interpreter-line': (path) => `neither a binary nor a script with a #! line: ${path}`,
  'arguments-too-long': (path) => `arguments and environment are too long for ${path}`,
};

/** What its process is given before its program runs. */
const SETTINGS: Readonly<Record<string, string>> = {
  rlimit: 'a limit of the step',
  'most-processes': 'its limit of processes',
  cpus: 'its CPUs',
};

/** One clear line for what kept a program from running. */
export function failureOf(failed: ExecFailed): StepEnd {
  const errno = errnoName(failed.errno);
  const { stage } = failed;
  const path = utf8Of(failed.path);
  if (stage === 'cwd') {
    const what =
      failed.reason === 'not-directory' ? 'is not a directory' : `cannot be entered (${errno})`;
    const message = `the working directory ${failed.reason === 'not-found' ? 'does not exist' : what}: ${path}`;
    return { kind: 'exec_failed', errno, reason: 'cwd', message };
  }
  if (stage === 'setup' && SETTINGS[failed.reason] !== undefined) {
    const message = `${SETTINGS[failed.reason] ?? ''} cannot be set here (${errno}): ${path}`;
    return { kind: 'exec_failed', errno, reason: 'supervision', message };
  }
  const sentence = SENTENCES[failed.reason];
  const message = sentence === undefined ? `could not execute ${path}: ${errno}` : sentence(path);
  const reason = sentence === undefined ? 'other' : (failed.reason as ExecFailure);
  return { kind: 'exec_failed', errno, reason, message };
}
