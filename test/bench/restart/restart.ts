/**
 * A new leader over the log of a run of which part has ended: from its start to its first answer, by how
 * much of the log there is. The log is written as agents and coordinator write it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programFile } from '#cli/mesh/programs.ts';
import { submit } from '#cli/runs/submit.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { parseSuite } from '#protocol/suite/parse-suite.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';
import { startTestServer, type TestServer } from '#test/support/nats-server.ts';
import { until } from '#test/support/until.ts';
import { rssMiB, cpuMs } from '../fleet/process-cpu.ts';
import { printRows } from '../figures.ts';
import { writeHistory } from './history.ts';

const STORE_BYTES = 8 * 1024 ** 3;
const START_MS = 300_000;
const TASKS = Number(process.env['TASKS'] ?? 100_000);
/** Of the tasks. */
const ENDED_SHARES = (process.env['SHARES'] ?? '0,0.5,0.99').split(',').map(Number);

export async function restart(): Promise<void> {
  for (const share of ENDED_SHARES) await round(TASKS, Math.floor(TASKS * share));
  if (process.env['MILLION']) await round(1_000_000, 0);
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
    const begun = performance.now();
    coordinator = startCoordinator(server, folder);
    await answering(connection);
    const seconds = (performance.now() - begun) / 1_000;
    const { pid = NaN } = coordinator;
    printRows([
      [
        `${tasks.toLocaleString('en-US')} tasks, ${ended.toLocaleString('en-US')} ended`,
        `${seconds.toFixed(2)} s to the first answer, ${(cpuMs(pid) / 1_000).toFixed(2)} s of CPU, ${rssMiB(pid).toFixed(0)} MiB`,
      ],
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

function startCoordinator({ url, credentialFile }: TestServer, folder: string): ChildProcess {
  const flags = {
    '--id': 'restart',
    '--server': url,
    '--credential': credentialFile,
    '--results': join(folder, 'results'),
    '--log-file': join(folder, 'coordinator.log'),
  };
  const args = [
    ...(process.env['PROF'] ? ['--cpu-prof', '--cpu-prof-dir=/tmp/m4prof'] : []),
    programFile('coordinator'),
    ...Object.entries(flags).flat(),
  ];
  return spawn(process.execPath, args, { stdio: 'inherit' });
}
