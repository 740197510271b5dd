/**
 * Directories of finished runs, as the coordinator left them: complete, immutable, readable with no
 * mesh running.
 */
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import {
  applyToPresence,
  createPresence,
  type PresenceFold,
} from '#protocol/fold/progress/presence-fold.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { RunView } from '#protocol/fold/run-view.ts';
import { errnoOf, MeshError, toError } from '#protocol/messages/errors.ts';
import { isRunId } from '#protocol/messages/ids.ts';

/** A directory among the finished runs that cannot be read as one. */
export interface DamagedRun {
  readonly directory: string;
  readonly reason: string;
}

/** Ids of the finished runs in a results folder, in order; none where there is no folder. */
export async function archivedRunIds(resultsDir: string): Promise<string[]> {
  return (await namesIn(resultsDir)).filter(isRunId).sort();
}

/** The same, and the directories that are a run's but for their name. */
export async function archivedRuns(
  resultsDir: string,
): Promise<{ ids: string[]; damaged: DamagedRun[] }> {
  const names = (await namesIn(resultsDir)).sort();
  const damaged: DamagedRun[] = [];
  for (const name of names) {
    // Names with a dot are being made.
    if (isRunId(name) || name.startsWith('.')) continue;
    const directory = await archivedDirectory(resultsDir, name);
    if (directory !== null) damaged.push({ directory, reason: 'its name is no id of a run' });
  }
  return { ids: names.filter(isRunId), damaged };
}

async function namesIn(resultsDir: string): Promise<string[]> {
  try {
    return await readdir(resultsDir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw new MeshError('config_invalid', `${resultsDir}: ${toError(error).message}`, error);
  }
}

/** The run's directory, or null. */
export async function archivedDirectory(resultsDir: string, run: string): Promise<string | null> {
  const directory = join(resultsDir, run);
  return (await isThere(join(directory, 'benchmesh.json'))) ? directory : null;
}

export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

/** Every record of the run, in stream order. */
export function archivedEvents(directory: string): AsyncGenerator<EventRecord> {
  return recordsOf(join(directory, 'events.ndjson'));
}

async function* recordsOf(file: string): AsyncGenerator<EventRecord> {
  for await (const line of linesOf(file)) yield JSON.parse(line) as EventRecord;
}

/** Which agents there were; null where the directory does not say. */
export async function readArchivedPresence(directory: string): Promise<PresenceFold | null> {
  const file = join(directory, 'fleet.ndjson');
  if (!(await isThere(file))) return null;
  const presence = createPresence();
  for await (const record of recordsOf(file)) applyToPresence(presence, record);
  return presence;
}

/** The run folded from the events in its directory. */
export async function readArchivedRun(directory: string, run: string): Promise<RunFold> {
  const fold = createRunFold(run);
  for await (const record of archivedEvents(directory)) applyToRun(fold, record);
  fold.archived = directory;
  if (fold.submitted === null)
    throw new MeshError('protocol', `${directory} holds no events of ${run}`);
  return fold;
}

export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown;
  } catch (error) {
    throw new MeshError('protocol', `${file} cannot be read: ${toError(error).message}`, error);
  }
}

export async function* linesOf(file: string): AsyncGenerator<string> {
  const input = createReadStream(file);
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      if (line !== '') yield line;
    }
  } catch (error) {
    throw new MeshError('protocol', `${file} cannot be read: ${toError(error).message}`, error);
  }
}

export interface ArchivedRun {
  readonly view: RunView;
  readonly sequence: number;
  readonly directory: string;
}

/** What a list shows of it: a run.json that lacks some of this is damaged. */
const Summary = z.object({
  sequence: z.number().int(),
  run: z.looseObject({
    id: z.string(),
    suite: z.string(),
    state: z.string(),
    tasks: z.number(),
    states: z.looseObject({ ended: z.number() }),
    outcomes: z.record(z.string(), z.number()),
    elapsedMs: z.number(),
    submitted: z.string(),
    by: z.string(),
  }),
});

/** The run's view as archived (run.json): what `runs` lists, without folding anything. */
export async function readArchivedSummary(resultsDir: string, run: string): Promise<ArchivedRun> {
  const directory = join(resultsDir, run);
  const file = join(directory, 'run.json');
  const parsed = Summary.safeParse(await readJson(file));
  if (!parsed.success) throw new MeshError('protocol', `${file} is no run of this format`);
  const { id } = parsed.data.run;
  if (id !== run) throw new MeshError('protocol', `${file} is of another run, ${id}`);
  // Written by the coordinator from the same view; `audit` compares it with the fold.
  return { view: parsed.data.run as unknown as RunView, sequence: parsed.data.sequence, directory };
}
