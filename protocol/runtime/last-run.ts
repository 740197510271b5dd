/**
 * What the last ended run of a suite was, out of the directories of finished runs. Memory is bounded by
 * the number of its tasks: rows are read one by one, and a few bytes of each are kept.
 */
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { TaskOutcome } from '../messages/attempt/outcome.ts';
import { isRunId } from '../messages/ids.ts';
import { MAX_TASKS } from '../suite/expand.ts';
import { historyOf, type RunHistory, type TaskHistory } from '../suite/task-order.ts';

/** Of the newest so many runs; what ran before them all is forgotten. */
export const RUNS_LOOKED_AT = 1_000;

/** Of a run whose tasks were all stopped or skipped nothing is to be learned. */
const Summary = z.object({
  run: z.object({
    suite: z.string(),
    outcomes: z.object({
      passed: z.number().optional(),
      failed: z.number().optional(),
      timed_out: z.number().optional(),
      lost: z.number().optional(),
      quarantined: z.number().optional(),
    }),
  }),
});

const Repeat = z.object({ run: z.object({ retryOf: z.string().nullable().optional() }) });

const Row = z.object({
  id: z.string(),
  outcome: TaskOutcome,
  attempts: z.number(),
  elapsedMs: z.number(),
});

/**
 * Id of the newest finished run of a suite of this name in which a task came to an end; null for none.
 * Directories that cannot be read are passed over.
 */
export async function findLastRun(resultsDir: string, suite: string): Promise<string | null> {
  const names = await readdir(resultsDir).catch(() => []);
  const newest = names.filter(isRunId).sort().reverse().slice(0, RUNS_LOOKED_AT);
  for (const run of newest) {
    const text = await readFile(join(resultsDir, run, 'run.json'), 'utf8').catch(() => '');
    const summary = Summary.safeParse(jsonOf(text));
    if (!summary.success || summary.data.run.suite !== suite) continue;
    if (Object.keys(summary.data.run.outcomes).length > 0) return run;
  }
  return null;
}

/**
 * Tasks of a finished run; of one that ran tasks of another again (`retryOf`) also what that one tells of the
 * rest, and so on. Rejects with the system error where the directory of `run` is gone; of those before it
 * what is there counts.
 */
export async function readRunHistory(resultsDir: string, run: string): Promise<RunHistory> {
  const history = new Map<string, TaskHistory>();
  for (const earlier of await repeatedBy(resultsDir, run))
    await addRows(history, join(resultsDir, earlier)).catch(() => undefined);
  await addRows(history, join(resultsDir, run));
  return history;
}

/** The runs that `run` ran tasks of again, directly or not, earliest first. */
async function repeatedBy(resultsDir: string, run: string): Promise<string[]> {
  const chain: string[] = [];
  for (let at = run; chain.length < RUNS_LOOKED_AT;) {
    const text = await readFile(join(resultsDir, at, 'run.json'), 'utf8').catch(() => '');
    const before = Repeat.safeParse(jsonOf(text)).data?.run.retryOf ?? null;
    // Ids sort by time: what is not earlier is no run that was repeated.
    if (before === null || !isRunId(before) || before >= at) break;
    chain.unshift(before);
    at = before;
  }
  return chain;
}

/** A task that did not come to an end is what it was before. */
async function addRows(history: Map<string, TaskHistory>, directory: string): Promise<void> {
  const input = createReadStream(join(directory, 'tasks.ndjson'));
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      const row = Row.safeParse(jsonOf(line));
      if (!row.success) continue;
      const told = historyOf(row.data);
      const isEnd = told.elapsedMs !== null || told.hasFailed;
      if (isEnd || !history.has(row.data.id)) history.set(row.data.id, told);
      if (history.size >= MAX_TASKS) break;
    }
  } finally {
    input.destroy();
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
