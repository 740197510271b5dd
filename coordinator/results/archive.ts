/**
 * The directory of a finished run: everything the mesh knows of it, readable with no mesh running.
 *
 *   <results>/.partial-<run>-<epoch>/  --(all synced)-- one rename -->  <results>/<run>/
 *     benchmesh.json   format and producer; written last
 *     run.json         {version, sequence, run}: the view of the run at its end
 *     suite.yaml       as submitted, byte for byte
 *     events.ndjson    every record of the run in BM_EVENTS: `audit` folds it again
 *     fleet.ndjson     what agents and the coordinator had said of hosts until then, as far as it is kept
 *     tasks.ndjson, metrics.ndjson, attempts.ndjson (of each its spec and its record)
 *     stages.ndjson where the ranks of a gang began in steps: what each stage measured
 *     logs/<task>/<n>.{log,index}, files/<task>/<n>/..., checkpoints/<task>/<n>/...
 *     telemetry/attempts/<task>/<n>.ndjson, telemetry/hosts/<agent>.ndjson
 *       (of a rank of a gang everywhere <n>-<rank> instead of <n>; <n>-<rank>e<k> of one that replaced it)
 *
 * 1. Made from the stored records alone, not from this process's memory: whoever makes it, it is
 *    the same (I2).
 * 2. A crash leaves the whole directory or none; a directory that is there is never touched.
 * 3. Each leader writes into a folder of its own epoch: one that was deposed and goes on cannot
 *    spoil the work of its successor, whose rename, like its own, finds the name free or taken.
 */
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as giveWay } from 'node:timers/promises';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import { createPackedAttempts } from '#protocol/fold/packed/packed-attempts.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { filters } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import { makeFolder } from '#protocol/runtime/make-folder.ts';
import { collectFile, type MissingFile } from './collect-files.ts';
import { collectLogs, type MissingLog } from './collect-logs.ts';
import { collectSamples, type MissingSamples } from './collect-samples.ts';
import { removeSalvaged } from './log-salvage.ts';
import { eachOf, publishFolder, writeDurable } from './durable-files.ts';
import { contentsOf } from './contents.ts';
import { attemptRows, metricRows, runOfAttempts, stageRows, taskRow } from './tables.ts';

export const ARCHIVE_FORMAT = 1;
const FILES_AT_A_TIME = 8;
/** Some milliseconds' work. */
const ITEMS_AT_A_TIME = 250;
const BUFFER_BYTES = 256 * 1024;

export interface ArchiveEnvironment {
  readonly connection: MeshConnection;
  readonly clock: Clock;
  readonly resultsDir: string;
  readonly epoch: number;
  readonly version: string;
  readonly isUnreachable: (agent: string) => boolean;
  /** Silence after which a log is given up, its agent being unreachable. */
  readonly goneMs: number;
  /** Aborted when this coordinator does not lead any more. */
  readonly signal: AbortSignal;
  /** What it waits for; others need not wait with it. Null: it goes on. */
  readonly onWaiting?: (reason: string | null) => void;
}

export interface ArchiveJob {
  readonly run: string;
  readonly fromSequence: number;
  readonly stopCommands: readonly string[];
  readonly hosts: Readonly<Record<string, Registration>>;
}

export function archiveDirectory(resultsDir: string, run: string): string {
  return join(resultsDir, run);
}

/** Whether the run's directory is there: whole, then. */
export async function isArchived(resultsDir: string, run: string): Promise<boolean> {
  try {
    await stat(join(archiveDirectory(resultsDir, run), 'benchmesh.json'));
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes the run's directory, or finds it. Resolves with its path; rejects with the system error
 * (a full disk) or when aborted, after removing what it had begun. Repeat then.
 */
export async function archiveRun(env: ArchiveEnvironment, job: ArchiveJob): Promise<string> {
  const directory = archiveDirectory(env.resultsDir, job.run);
  await makeFolder(env.resultsDir);
  await removeLeftovers(env, job.run);
  if (await isArchived(env.resultsDir, job.run)) {
    await removeSalvaged(env.resultsDir, job.run);
    return directory;
  }
  const partial = join(env.resultsDir, `.partial-${job.run}-${env.epoch}`);
  try {
    await mkdir(partial);
    await fillFolder(env, job, partial);
    if (env.signal.aborted) throw new Error('not leading any more');
    await publishFolder(partial, directory);
    if (!(await isArchived(env.resultsDir, job.run)))
      throw new MeshError(
        'state_unwritable',
        `${directory} is there and is no run's directory: move it away`,
      );
    await removeSalvaged(env.resultsDir, job.run);
  } catch (error) {
    // What cannot be removed now is removed by the next try; the first failure is what counts.
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
  return directory;
}

/** Folders that this leader, or one before it, has begun. */
async function removeLeftovers(env: ArchiveEnvironment, run: string): Promise<void> {
  const prefix = `.partial-${run}-`;
  for (const name of await readdir(env.resultsDir)) {
    if (!name.startsWith(prefix) || Number(name.slice(prefix.length)) > env.epoch) continue;
    await rm(join(env.resultsDir, name), { recursive: true, force: true });
  }
}

async function fillFolder(env: ArchiveEnvironment, job: ArchiveJob, folder: string): Promise<void> {
  const { fold, unreadable } = await writeEvents(env, job, folder);
  const view = runView(fold);
  if (view === null || fold.submitted === null) {
    throw new MeshError('protocol', `BM_EVENTS holds no run.submitted of ${job.run}`);
  }
  const { suite, suiteText } = fold.submitted;
  const header = { version: ARCHIVE_FORMAT, sequence: fold.sequence, run: view };
  await writeDurable(join(folder, 'run.json'), `${canonicalJson(header)}\n`);
  await writeDurable(join(folder, 'suite.yaml'), suiteText);
  const fleet = await fleetRecords(env, fold.sequence);
  await writeRows(join(folder, 'fleet.ndjson'), fleet, (row) => [row]);
  await writeTables(job, folder, { fold, suite });
  const contents = await contentsOf(fold);
  const missingLogs = await collectLogs({
    ...env,
    run: job.run,
    folder: join(folder, 'logs'),
    expected: contents.logs,
  });
  const missingFiles = [...contents.lost];
  await eachOf(contents.files, FILES_AT_A_TIME, async (file) => {
    const missing = await collectFile(env.connection, folder, file, env.signal);
    if (missing !== null) missingFiles.push(missing);
  });
  const missingSamples = await collectSamples({
    ...env,
    run: job.run,
    folder: join(folder, 'telemetry'),
    expected: contents.samples,
  });
  await writeDurable(
    join(folder, 'benchmesh.json'),
    selfDescription(env, { fold, missingLogs, missingFiles, missingSamples, unreadable }),
  );
}

function selfDescription(
  env: ArchiveEnvironment,
  facts: {
    fold: RunFold;
    missingLogs: MissingLog[];
    missingFiles: MissingFile[];
    missingSamples: MissingSamples[];
    unreadable: number;
  },
): string {
  const { fold, missingLogs, missingFiles, missingSamples, unreadable } = facts;
  const text = canonicalJson({
    format: ARCHIVE_FORMAT,
    producer: 'benchmesh',
    version: env.version,
    run: fold.run,
    complete: missingLogs.length === 0 && missingFiles.length === 0 && unreadable === 0,
    stopped: fold.outcome === 'stopped',
    missingLogs,
    missingFiles,
    missingSamples,
    unreadableEvents: unreadable,
  });
  return `${text}\n`;
}

/** Copies the run's records and folds them on the way. */
async function writeEvents(
  env: ArchiveEnvironment,
  job: ArchiveJob,
  folder: string,
): Promise<{ fold: RunFold; unreadable: number }> {
  const fold = createRunFold(job.run, createPackedAttempts());
  let unreadable = 0;
  let rows = '';
  const file = openSync(join(folder, 'events.ndjson'), 'w');
  const query = {
    stream: STREAMS.events,
    filters: [...filters.runEvents(job.run), ...job.stopCommands.map(filters.acksOf)],
    fromSequence: job.fromSequence,
  };
  try {
    await readAll(env.connection, query, ({ subject, sequence, timeMs, data }) => {
      const decoded = decode(data);
      if (decoded.kind === 'rejected') {
        unreadable += 1;
        return;
      }
      const record = { subject, sequence, timeMs, message: decoded.message };
      if (record.message.name === 'run.archived') return; // of a leader that got no further
      applyToRun(fold, record);
      rows += `${JSON.stringify(record)}\n`;
      if (rows.length < BUFFER_BYTES) return;
      writeFileSync(file, rows);
      rows = '';
    });
    writeFileSync(file, rows);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return { fold, unreadable };
}

/** Which agents there were, and when: the run's own records name only those that it used. */
async function fleetRecords(env: ArchiveEnvironment, upToSequence: number): Promise<string[]> {
  const rows: string[] = [];
  const query = { stream: STREAMS.events, filters: filters.fleet(), upToSequence };
  await readAll(env.connection, query, ({ subject, sequence, timeMs, data }) => {
    const decoded = decode(data);
    // What it has executed tells nothing of what it has.
    if (decoded.kind === 'rejected' || decoded.message.name.startsWith('agent.exec_')) return;
    rows.push(JSON.stringify({ subject, sequence, timeMs, message: decoded.message }));
  });
  return rows;
}

async function writeTables(
  { hosts }: ArchiveJob,
  folder: string,
  { fold, suite }: { readonly fold: RunFold; readonly suite: SuiteSpec },
): Promise<void> {
  const write = (name: string, rowsOf: (task: TaskFold) => Iterable<string>): Promise<void> =>
    writeRows(join(folder, name), fold.tasks.values(), rowsOf);
  await write('tasks.ndjson', (task) => [taskRow(fold, task)]);
  await write('metrics.ndjson', metricRows);
  const hasRamp = suite.gang?.ramp !== undefined;
  const stages = hasRamp ? [...fold.tasks.values()].flatMap((task) => [...stageRows(task)]) : [];
  if (stages.length > 0) await writeRows(join(folder, 'stages.ndjson'), stages, (row) => [row]);
  const all = runOfAttempts(fold, suite, hosts);
  await write('attempts.ndjson', (task) => attemptRows(all, task));
}

/** Gives way now and then, also where nothing has rows. */
async function writeRows<T>(
  path: string,
  items: Iterable<T>,
  rowsOf: (item: T) => Iterable<string>,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    let [buffer, walked] = ['', 0];
    for (const item of items) {
      for (const row of rowsOf(item)) buffer += `${row}\n`;
      walked += 1;
      if (walked % ITEMS_AT_A_TIME === 0) await giveWay();
      if (buffer.length < BUFFER_BYTES) continue;
      await file.writeFile(buffer);
      buffer = '';
    }
    await file.writeFile(buffer);
    await file.sync();
  } finally {
    await file.close();
  }
}
