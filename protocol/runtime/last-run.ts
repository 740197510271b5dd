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

/** Tasks of a finished run. Rejects with the system error where its directory is gone. */
export async function readRunHistory(resultsDir: string, run: string): Promise<RunHistory> {
  const history = new Map<string, TaskHistory>();
  const input = createReadStream(join(resultsDir, run, 'tasks.ndjson'));
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      const row = Row.safeParse(jsonOf(line));
      if (row.success) history.set(row.data.id, historyOf(row.data));
      if (history.size >= MAX_TASKS) break;
    }
  } finally {
    input.destroy();
  }
  return history;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
