/** A finished run: its events folded again, against every table and log of its directory. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { acceptedAttempts } from '#protocol/fold/task-attempts.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { attemptName } from '#protocol/messages/ids.ts';
import { linesOf, readArchivedRun, readJson } from '../runs/archive.ts';
import { attemptsOf, type TargetAttempt } from '../logs/log-status.ts';
import { differences, type Difference } from './differences.ts';

export interface AuditReport {
  readonly sequence: number;
  /** What was compared, in words. */
  readonly compared: readonly string[];
  readonly differences: readonly Difference[];
}

const Self = z.looseObject({
  missingLogs: z.array(
    z.looseObject({
      task: z.string(),
      n: z.number(),
      rank: z.number().optional(),
      since: z.number().optional(),
    }),
  ),
});
const IndexRow = z.looseObject({
  offset: z.number(),
  length: z.number().optional(),
  gapTo: z.number().optional(),
});

export async function auditArchive(directory: string, run: string): Promise<AuditReport> {
  const fold = await readArchivedRun(directory, run);
  const views = taskViews(fold);
  const header = { version: 1, sequence: fold.sequence, run: runView(fold) };
  const attempts = attemptsOf(fold, { run, task: null, n: null });
  const found: Difference[] = [
    ...differences(plain(header), await readJson(join(directory, 'run.json')), 'run.json'),
    ...differences(plain(views), await rowsOf(join(directory, 'tasks.ndjson')), 'tasks.ndjson'),
    ...(await metricDifferences(directory, fold)),
  ];
  const { missingLogs } = Self.parse(await readJson(join(directory, 'benchmesh.json')));
  const missing = new Set(missingLogs.map((log) => `${log.task}/${attemptName(log)}`));
  for (const attempt of attempts) {
    found.push(...(await logDifferences(directory, attempt, missing)));
  }
  return {
    sequence: fold.sequence,
    compared: ['run.json', `${views.length} tasks`, 'metrics', `${attempts.length} logs`],
    differences: found,
  };
}

async function metricDifferences(directory: string, fold: RunFold): Promise<Difference[]> {
  const pick = (row: Record<string, unknown>): unknown[] =>
    ['task', 'n', 'name', 'value', 'unit', 'direction'].map((name) => row[name]);
  const folded = [...fold.tasks.values()].flatMap((task) =>
    acceptedAttempts(task).flatMap(({ n, exited }) =>
      (exited?.metrics ?? []).map((metric) => pick({ ...metric, task: task.id, n })),
    ),
  );
  const archived = (await rowsOf(join(directory, 'metrics.ndjson'))).map((row) =>
    pick(row as Record<string, unknown>),
  );
  return differences(sorted(folded), sorted(archived), 'metrics.ndjson');
}

/** The two lists come in different orders: of acceptance, of the matrix. */
const sorted = (rows: readonly unknown[]): unknown[] =>
  rows.map((row) => JSON.stringify(row)).sort();

/** The log has as many bytes as its attempt said at its end, each range once. */
async function logDifferences(
  directory: string,
  { ref, fold }: TargetAttempt,
  missing: ReadonlySet<string>,
): Promise<Difference[]> {
  const name = `logs/${ref.task}/${attemptName(ref)}`;
  const path = join(directory, name);
  const expected = fold.exited?.logBytes ?? 0;
  if (missing.has(`${ref.task}/${attemptName(ref)}`)) {
    return [
      {
        path: name,
        folded: `${expected} bytes`,
        found: 'known to be incomplete',
      },
    ];
  }
  if (expected === 0) return [];
  let next = 0;
  let gaps = 0;
  try {
    for await (const line of linesOf(`${path}.index`)) {
      const { offset, length = 0, gapTo } = IndexRow.parse(JSON.parse(line));
      if (offset !== next) return [{ path: `${path}.index`, folded: next, found: offset }];
      if (gapTo !== undefined) gaps += gapTo - offset;
      next = gapTo ?? offset + length;
    }
    const { size } = await stat(`${path}.log`);
    return differences({ end: expected, bytes: expected - gaps }, { end: next, bytes: size }, name);
  } catch (error) {
    return [{ path: name, folded: `${expected} bytes`, found: String(error) }];
  }
}

async function rowsOf(file: string): Promise<unknown[]> {
  const rows: unknown[] = [];
  for await (const line of linesOf(file)) rows.push(JSON.parse(line));
  return rows;
}

/** As it looks after a file: without what JSON drops. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;
