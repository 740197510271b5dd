/**
 * A new leader over the log of a run of which part has ended: how long it reads before it leads, by how
 * much there is to read, and what it holds in memory then; and the same where it begins with a snapshot. The log
 * is written as agents and coordinator write it.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { submit } from '#cli/runs/submit.ts';
import { LEAST_EVENTS } from '#coordinator/snapshot/snapshot-keeper.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { parseSuite } from '#protocol/suite/parse-suite.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';
import { startTestServer } from '#test/support/nats-server.ts';
import { until } from '#test/support/until.ts';
import { startCoordinator } from '../coordinator-process.ts';
import { cpuMs, rssMiB } from '../fleet/process-cpu.ts';
import { printRows } from '../figures.ts';
import { writeHistory } from './history.ts';

const STORE_BYTES = 8 * 1024 ** 3;
const START_MS = 300_000;
const TASKS = 100_000;
const MOST_TASKS = 1_000_000;
/** Of the tasks. */
const ENDED_SHARES = [0, 0.5, 0.99];

export async function restart(): Promise<void> {
  for (const share of ENDED_SHARES) await round(TASKS, Math.floor(TASKS * share));
  await round(MOST_TASKS, 0);
}

async function round(tasks: number, ended: number): Promise<void> {
  const server = await startTestServer({ streams: false, maxStoreBytes: STORE_BYTES });
  const folder = await mkdtemp(join(tmpdir(), 'benchmesh-restart-'));
  let coordinator: ChildProcess | null = null;
  try {
    const connection = await server.connect('bench');
    coordinator = startCoordinator(server, folder);
    await answering(connection);
    const { run, suite } = await submitTasks(connection, tasks);
    await kill(coordinator);
    await writeHistory(connection, { run, suite, ended });
    coordinator = startCoordinator(server, folder);
    await answering(connection);
    const what = `${tasks.toLocaleString('en-US')} tasks, ${ended.toLocaleString('en-US')} ended`;
    const serverBefore = cpuMs(server.pid());
    printRows([[what, await figures(folder, coordinator.pid ?? NaN)]]);
    // Two events of each that has ended: where they are enough, one is due.
    if (2 * ended < LEAST_EVENTS) return;
    await until(() => isSnapshotStored(folder), 'the snapshot', START_MS);
    await kill(coordinator);
    coordinator = startCoordinator(server, folder);
    await answering(connection);
    printRows([['the same, from a snapshot', await figures(folder, coordinator.pid ?? NaN)]]);
    const serverMs = cpuMs(server.pid()) - serverBefore;
    printRows([
      ['of the server, for both and the snapshot', `${(serverMs / 1_000).toFixed(2)} s of CPU`],
    ]);
  } finally {
    if (coordinator !== null) await kill(coordinator);
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function suiteText(tasks: number): string {
  const side = Math.sqrt(tasks) | 0;
  const rows = Math.ceil(tasks / side);
  const list = (count: number): string => Array.from({ length: count }, (_, at) => at).join(', ');
  return `name: restart\naxes:\n  row: [${list(rows)}]\n  column: [${list(side)}]\nneeds:\n  exclusive: false\nrun: ['true']\n`;
}

async function submitTasks(
  connection: MeshConnection,
  tasks: number,
): Promise<{ run: string; suite: SuiteSpec }> {
  const text = suiteText(tasks);
  const parsed = parseSuite({
    text,
    file: 'restart.yaml',
    dir: null,
    profile: null,
    set: [],
    only: [],
  });
  if (parsed.kind !== 'ok') throw new Error('the suite of the bench is invalid');
  const { suite } = parsed;
  const { run } = await submit(connection, {
    ...{ run: null, suite, suiteText: text, suiteFile: null },
    ...{ by: 'bench@bench', ifBusy: 'queue', labels: {} },
  });
  return { run, suite };
}

async function answering(connection: MeshConnection): Promise<void> {
  await until(() => call(connection, 'info', {}), 'the coordinator', START_MS);
}

async function kill(coordinator: ChildProcess): Promise<void> {
  if (coordinator.exitCode !== null || coordinator.signalCode !== null) return;
  const gone = new Promise((settle) => coordinator.once('exit', settle));
  coordinator.kill('SIGKILL');
  await gone;
}

async function figures(folder: string, pid: number): Promise<string> {
  const seconds = (ms: number): string => (ms / 1_000).toFixed(2);
  return `${seconds(await lastReplayMs(folder))} s of reading before it leads, ${seconds(cpuMs(pid))} s of CPU, ${rssMiB(pid).toFixed(0)} MiB`;
}

async function isSnapshotStored(folder: string): Promise<boolean> {
  return (await readFile(join(folder, 'coordinator.log'), 'utf8')).includes('snapshot stored');
}

/** As the coordinator has measured it itself: from its claim until it has read all and serves. */
async function lastReplayMs(folder: string): Promise<number> {
  const log = await readFile(join(folder, 'coordinator.log'), 'utf8');
  return Number([...log.matchAll(/"replayMs":(\d+)/g)].at(-1)?.[1]);
}
