/**
 * Ids are single subject tokens, checked on every way in: an id with a dot, a space, a wildcard or
 * a line break could name somebody else's subject.
 */
import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';

const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;
const RUN_ID = /^(\d{4})-(\d{2})-(\d{2})_(\d{2})-(\d{2})-(\d{2})-[a-z0-9]{4}$/;
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
/** The same characters as they sort, eight digits first. */
const DIGITS = '23456789abcdefghijkmnpqrstuvwxyz';

/** True for what may stand as one token of a subject; `all` is reserved. */
export function isToken(text: string): boolean {
  return TOKEN.test(text) && text !== 'all';
}

export const Token = z
  .string()
  .refine(isToken, 'must be 1 to 64 of A-Z a-z 0-9 _ - and not the reserved word "all"');

export const RunId = z.string().refine(isRunId, 'must look like 2026-02-13_14-30-45-k3f9');

/** Of a million messages of a run each names it. */
let lastRunId = '';

/** The shape, and a time that exists: the 13th month would sort after years to come. */
export function isRunId(text: string): boolean {
  if (text === lastRunId) return true;
  const [, year, month, day, hour, minute, second] = RUN_ID.exec(text) ?? [];
  if (year === undefined) return false;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const ms = Date.parse(`${iso}Z`);
  // February 30th is read as March 2nd.
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(iso)) return false;
  lastRunId = text;
  return true;
}

/**
 * A run id: UTC time to the second, then four characters: two for the milliseconds, two random, one of
 * these a digit, so that they spell no word. Ids sort by time, runs submitted one after the other
 * within a second too; whoever draws an id that is taken draws again.
 */
export function newRunId(now: Date, random: (bytes: number) => Uint8Array = randomBytes): string {
  const stamp = now.toISOString().slice(0, 19).replace('T', '_').replaceAll(':', '-');
  const ms = now.getUTCMilliseconds();
  const [first = 0, second = 0] = random(2);
  const char = letter(first);
  const last = char >= 'a' ? DIGITS.charAt(second % 8) : letter(second);
  return `${stamp}-${DIGITS.charAt(ms >> 5)}${DIGITS.charAt(ms & 31)}${char}${last}`;
}

/** An id for a command, an instance or an event: 20 random characters, 100 bits. */
export function newId(random: (bytes: number) => Uint8Array = randomBytes): string {
  return randomToken(20, random);
}

function randomToken(length: number, random: (bytes: number) => Uint8Array): string {
  return Array.from(random(length), letter).join('');
}

function letter(byte: number): string {
  return ALPHABET.charAt(byte % ALPHABET.length);
}

export type AxisValue = string | number | boolean;

/** Of what names a host setup: its key, or its command. */
export function hostSetupId(named: readonly unknown[]): string {
  return hash('sha256', JSON.stringify(named), 'hex').slice(0, 16);
}

/**
 * A task's id: a hash of its axis values (whatever their order in the file) and its repeat, so it
 * is the same in every run of the suite. 60 bits; expansion checks for collisions.
 */
export function taskId(axes: Readonly<Record<string, AxisValue>>, repeat: number): string {
  const named = Object.keys(axes)
    .sort()
    .map((name) => `[${JSON.stringify(name)},${JSON.stringify(axes[name])}]`);
  // Of a million tasks each is named at once: text by text costs half of the whole as one value.
  const digest = hash('sha256', `[[${named.join()}],${repeat}]`, 'binary');
  let id = '';
  for (let at = 0; at < 12; at += 1) id += letter(digest.charCodeAt(at));
  return id;
}

/** An attempt as people write it: `run/task#n`; a rank of a gang, where that is said: `run/task#n-rank`, and
 * `run/task#n-rank` followed by `e1` for what replaced it first. */
export interface AttemptRef {
  readonly run: string;
  readonly task: string;
  readonly n: number;
  readonly rank?: number | undefined;
  /** Of a rank that replaces a lost one: how many were replaced then, with it; absent, or 0: it is the first. */
  readonly since?: number | undefined;
}

/** `1`, and `1e2` of one that was the second to replace a lost one. */
export function rankName({
  rank,
  since = 0,
}: {
  rank: number;
  since?: number | undefined;
}): string {
  return since === 0 ? String(rank) : `${rank}e${since}`;
}

/** How its files are named in the directory of the run: `<n>`, and `<n>-<rank>` of a rank. */
export function attemptName({ n, rank, since }: Pick<AttemptRef, 'n' | 'rank' | 'since'>): string {
  return rank === undefined ? String(n) : `${n}-${rankName({ rank, since })}`;
}

export function attemptKey(ref: AttemptRef): string {
  return `${ref.run}/${ref.task}#${attemptName(ref)}`;
}
