/**
 * The folder of an attempt, made when its first step begins, in few calls.
 * Synchronous, since an asynchronous call costs several times what it does here.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, toError } from '#protocol/messages/errors.ts';
import type { StepOutcome } from '../process/types.ts';
import { LogSegments } from '../process/spool/log-segments.ts';
import { noRoomText } from '../process/disk-room.ts';
import { isFull } from '../process/record/errno.ts';
import { makeFolder } from '../process/record/step-folders.ts';
import { notStartedOutcome } from '../process/record/step-outcome.ts';
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { stepDir, type AttemptPaths } from '../state/state-folder.ts';
import type { AttemptState } from './attempt-state.ts';

/** Makes the folder. Throws system errors. */
export function makeAttemptFolder(paths: AttemptPaths): void {
  makeRunFolder(paths);
  makeFolder(paths.work);
}

/**
 * Makes the folder if somebody looks into it before the first step that begins makes it. Throws system
 * errors.
 */
export function prepareFolder(
  paths: AttemptPaths,
  { spec, resumed }: AttemptState,
  first: StepSpec,
): void {
  const isLookedInto = spec.checkpoints.length > 0 || resumed !== undefined;
  const hasToPlace = (spec.resume?.length ?? 0) > 0;
  if (isLookedInto || hasToPlace || first.service !== undefined) makeAttemptFolder(paths);
  else makeRunFolder(paths);
}

function makeRunFolder({ work }: AttemptPaths): void {
  const runDir = dirname(work);
  // Looked for first: a call that fails costs more than the two that make the folder.
  if (!existsSync(runDir)) mkdirSync(runDir, { recursive: true });
}

/**
 * Folders of steps in which nothing is left to look for, once the attempt's log is stored. Of an attempt
 * that has ended: its verdict is the final one then.
 */
export function spareFolders(
  { verdict, steps, teardownFailure }: AttemptState,
  paths: AttemptPaths,
): string[] {
  if (verdict?.outcome !== 'passed' || teardownFailure !== null) return [];
  const ran = steps.filter(({ check, proven }) => check === undefined && proven);
  return ran.map(({ id }) => stepDir(paths.work, id));
}

/** A step that could not even be prepared: nothing of it ran. */
export function unstarted(error: unknown): StepOutcome {
  const errno = errnoOf(error) ?? 'EIO';
  const message = isFull(errno)
    ? noRoom(error)
    : `the attempt's folder could not be made: ${toError(error).message}`;
  return notStartedOutcome(errno, 'supervision', message);
}

/** The disk says the same for both; who has to mend it needs to know which. */
function noRoom(error: unknown): string {
  const { path } = error as NodeJS.ErrnoException;
  return noRoomText(path === undefined ? null : dirname(path));
}

const READ_BYTES = 64 * 1024;
const LINE_MOST = 300;
const TAIL_LINES = 20;
const TAIL_BYTES = 4 * 1024;

/** How stderr ended: its last line for a reason, its last lines for who wants to know more. */
export interface StderrEnd {
  readonly lastLine: string;
  /** At most 20 lines and 4 KiB. */
  readonly tail: string;
}

/** Null where nothing was written there lately. */
export function stderrEnd(stepDir: string, logBytes: number): StderrEnd | null {
  if (logBytes === 0) return null;
  const segments = new LogSegments(stepDir);
  try {
    const { chunks } = segments.readFrom(Math.max(0, logBytes - READ_BYTES), READ_BYTES);
    const lines = Buffer.concat(
      chunks.filter((chunk) => chunk.stream === 'stderr').map((chunk) => chunk.bytes),
    )
      .toString('utf8')
      .split('\n')
      .map(printable)
      .filter((line) => line.trim() !== '');
    const lastLine = lines.at(-1)?.trim().slice(0, LINE_MOST);
    return lastLine === undefined ? null : { lastLine, tail: tailOf(lines) };
  } catch {
    // Its folder is broken or gone: the reason stands without a line, the log says the rest.
    return null;
  } finally {
    segments.close();
  }
}

function tailOf(lines: readonly string[]): string {
  const bytes = Buffer.from(lines.slice(-TAIL_LINES).join('\n'));
  if (bytes.length <= TAIL_BYTES) return bytes.toString('utf8');
  // What is left of a character that was cut is no character.
  return bytes
    .subarray(-TAIL_BYTES)
    .toString('utf8')
    .replace(/^\uFFFD+/, '');
}

const ESCAPE = String.fromCharCode(27);
const COLOUR = new RegExp(`${ESCAPE}\\[[0-9;?]*[A-Za-z]`, 'g');

function printable(line: string): string {
  const plain = line.replaceAll(COLOUR, '');
  return Array.from(plain, (char) => (char < ' ' || char === '\u007f' ? ' ' : char))
    .join('')
    .trimEnd();
}
