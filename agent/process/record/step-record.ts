/**
 * Reads a step's record as meshrun wrote it: one JSON object a line, append-only. Pure but
 * for readRecord. A torn last line (meshrun killed in the middle of a write) is left out, and so is one
 * that is not as its type says: the step's own processes, or a disk, may have written into it, and by
 * its pids processes are killed.
 */
import { closeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { openPlain, readFirst } from '../plain-file.ts';

export interface Started {
  readonly type: 'started';
  readonly pid: number;
  /** Clock ticks since boot: field 22 of /proc/PID/stat. */
  readonly startTime: number;
  readonly bootId: string;
  /** The name of the step's folder with that of the folder it is in. */
  readonly step?: string;
  readonly cookie: string;
  /** Pid of the meshrun that is its parent; not on the scan rung. */
  readonly meshrun?: number;
  readonly meshrunStartTime?: number;
  /** Path of the step's own cgroup; on the cgroup rung. */
  readonly cgroup?: string;
}

export interface ExecFailed {
  readonly type: 'exec_failed';
  readonly errno: number;
  readonly stage: string;
  readonly reason: string;
  readonly path: string;
}

interface Cause {
  readonly stopRequested: boolean;
  readonly deadline: boolean;
}

export interface Exited extends Cause {
  readonly type: 'exited';
  readonly code?: number;
  readonly signal?: number;
  readonly core?: boolean;
  readonly durationUs: number;
  readonly userUs: number;
  readonly systemUs: number;
  readonly maxRssKiB: number;
}

export interface Stopping extends Cause {
  readonly type: 'stopping';
  readonly signal: number;
}

export interface Survivors {
  readonly type: 'survivors';
  readonly count: number;
  readonly pids: readonly number[];
}

export interface Gone extends Cause {
  readonly type: 'gone';
  readonly empty: boolean;
  readonly reaped: number;
  readonly processes: number;
  readonly waves: number;
  readonly signal: number;
  readonly goneUs: number;
  readonly logBytes: number;
  readonly droppedStdout: number;
  readonly droppedStderr: number;
  /** `cgroup`: beside ECHILD its cgroup was empty. By an agent: what it had to rely on. */
  readonly proof?: 'cgroup' | 'scan';
  readonly oomKills?: number;
  /** The next two are not meshrun's: an agent wrote the line, on what it found. */
  readonly survivors?: readonly number[];
  /** Why the end is not known, where there is no `exited`. */
  readonly reason?: string;
}

export type RecordLine = Started | ExecFailed | Exited | Stopping | Survivors | Gone;

/** The record, by type of line: each type occurs at most once. */
export interface StepRecord {
  readonly started?: Started;
  readonly exec_failed?: ExecFailed;
  readonly exited?: Exited;
  readonly stopping?: Stopping;
  readonly survivors?: Survivors;
  readonly gone?: Gone;
}

/** Meshrun reserves 4 KiB; agents that came later may have added lines. What is beyond is not read. */
const RECORD_MOST_BYTES = 64 * 1024;
/** A line of meshrun's is at most 3 KiB. */
const TEXT_MOST = 4096;
/** Who writes them names at most 64 of each way of looking. */
const PIDS_MOST = 1_024;

export function parseRecord(text: string): StepRecord {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  const record: Record<string, RecordLine> = {};
  for (const line of lines) {
    const parsed = parseLine(line);
    if (parsed !== null) record[parsed.type] = parsed;
  }
  return record;
}

/** Null for what is no line of a record: padding, or a line of a later version. */
function parseLine(line: string): RecordLine | null {
  if (!line.startsWith('{')) return null;
  try {
    const value = JSON.parse(line) as Readonly<Record<string, unknown>>;
    const fields = typeof value['type'] === 'string' ? FIELDS.get(value['type']) : undefined;
    if (fields?.every(([name, isGood]) => isGood(value[name])) !== true) return null;
    return decoded(value as unknown as RecordLine);
  } catch {
    return null;
  }
}

type Check = (value: unknown) => boolean;

const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
/** Never 0, -1 or 1, by which a signal reaches others. */
const isPid: Check = (value) => isCount(value) && (value as number) > 1;
const isWhole: Check = (value) => Number.isSafeInteger(value);
const isFlag: Check = (value) => typeof value === 'boolean';
const isText: Check = (value) => typeof value === 'string' && value.length <= TEXT_MOST;
const arePids: Check = (value) =>
  Array.isArray(value) && value.length <= PIDS_MOST && value.every(isPid);
const maybe =
  (isGood: Check): Check =>
  (value) =>
    value === undefined || isGood(value);

const CAUSE = { stopRequested: isFlag, deadline: isFlag };
const FIELDS: ReadonlyMap<string, readonly (readonly [string, Check])[]> = new Map(
  Object.entries({
    started: {
      pid: isPid,
      startTime: isWhole,
      bootId: isText,
      step: maybe(isText),
      cookie: (value: unknown) => isText(value) && value !== '',
      meshrun: maybe(isPid),
      cgroup: maybe(isText),
    },
    exec_failed: { errno: isCount, stage: isText, reason: isText, path: isText },
    exited: {
      code: maybe(isCount),
      signal: maybe(isCount),
      core: maybe(isFlag),
      durationUs: isCount,
      userUs: isCount,
      systemUs: isCount,
      maxRssKiB: isCount,
      ...CAUSE,
    },
    stopping: { signal: isCount, ...CAUSE },
    survivors: { count: isCount, pids: arePids },
    gone: {
      empty: isFlag,
      reaped: isCount,
      processes: isCount,
      waves: isCount,
      signal: isCount,
      goneUs: isWhole,
      logBytes: isCount,
      droppedStdout: isCount,
      droppedStderr: isCount,
      proof: maybe((value) => value === 'cgroup' || value === 'scan'),
      oomKills: maybe(isCount),
      survivors: maybe(arePids),
      reason: maybe(isText),
      ...CAUSE,
    },
  } satisfies Record<RecordLine['type'], Readonly<Record<string, Check>>>).map(
    ([type, fields]): [string, [string, Check][]] => [type, Object.entries(fields)],
  ),
);

/** meshrun writes bytes beyond ASCII as \u00XX, one each. */
export function utf8Of(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}

function decoded(line: RecordLine): RecordLine {
  if (line.type !== 'started') return line;
  const { cgroup, step } = line;
  return {
    ...line,
    ...(cgroup === undefined ? {} : { cgroup: utf8Of(cgroup) }),
    ...(step === undefined ? {} : { step: utf8Of(step) }),
  };
}

/** Null where there is no record: nothing has begun there, or somebody has removed it. */
export function readRecord(stepDir: string): StepRecord | null {
  const fd = openRecord(stepDir);
  if (fd === null) return null;
  try {
    const record = readOpenRecord(fd);
    // After a power cut a file may have its new name and still the lines of the step before.
    const step = record.started?.step;
    return step === undefined || step === stepName(stepDir) ? record : null;
  } finally {
    closeSync(fd);
  }
}

/** Whoever holds it open reads it, even if its folder is removed. */
export function readOpenRecord(fd: number): StepRecord {
  return parseRecord(readFirst(fd, RECORD_MOST_BYTES).toString('latin1'));
}

function stepName(stepDir: string): string {
  return `${basename(dirname(stepDir))}/${basename(stepDir)}`;
}

/** Null where there is none, or something else has been put there. */
export function openRecord(stepDir: string): number | null {
  return openPlain(join(stepDir, 'record'));
}
