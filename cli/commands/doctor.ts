/** `benchmesh doctor`: checks, each ok, warn or fail, with what to do. */
import type { Command } from 'commander';
import { EXIT, toError } from '#protocol/messages/errors.ts';
import { readMeshFile, recordedMesh } from '#protocol/runtime/local-mesh.ts';
import { findServerBinary } from '#protocol/nats/server/server-binary.ts';
import { serverPaths } from '#protocol/nats/server/server-files.ts';
import {
  exitWith,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import {
  checkAgents,
  checkClock,
  checkCoordinator,
  checkDisk,
  checkParts,
  checkServer,
  checkStreams,
  guardedCheck,
} from '../doctor/checks.ts';
import type { Check } from '../doctor/check.ts';
import { openMesh, resultsDirOf, targetOf, type OpenMesh } from '../mesh/find-mesh.ts';
import { paintState } from '../output/style.ts';
import { terminal } from '../output/terminal.ts';

interface DoctorFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  withMesh(withJson(command));
  command.addHelpText('after', '\nEnds with 1 if a check fails; warnings do not count.');
  withExamples(command, ['benchmesh doctor', 'benchmesh doctor --json']);
  command.action(async (flags: DoctorFlags) => {
    const checks = await allChecks(flags);
    const failed = checks.some((check) => check.status === 'fail');
    if (failed) exitWith(EXIT.failed);
    if (flags.json === true) {
      terminal.printJson('doctor', { ok: !failed, checks });
      return;
    }
    const { style } = terminal;
    for (const { name, status, detail, advice } of checks) {
      const mark = paintState(style, status) + ' '.repeat(4 - status.length);
      terminal.print(`${mark}  ${style.bold(name)}: ${detail}`);
      if (advice !== null) terminal.print(`      ${advice}`);
    }
  });
}

async function allChecks(flags: DoctorFlags): Promise<Check[]> {
  const target = targetOf(flags);
  const home = target.kind === 'local' ? target.home : null;
  const resultsDir = await resultsDirOf(flags);
  const host = [
    {
      name: 'node',
      status: 'ok',
      detail: `${process.version} on ${process.platform}`,
      advice: null,
    } satisfies Check,
    ...(await guardedCheck(
      'results',
      () => checkDisk('results', resultsDir),
      'make the folder writable, or name another: BENCHMESH_RESULTS, --results',
    )),
    ...(home === null
      ? []
      : await guardedCheck(
          'state',
          () => checkDisk('state', home),
          'make the folder writable, or name another: BENCHMESH_HOME',
        )),
  ];
  if (home !== null && (await recordedMesh(home)).kind === 'absent') {
    return [
      ...host,
      ...(await guardedCheck('server program', () => checkBinary(home))),
      notRunning(home),
    ];
  }
  const parts = home === null ? null : await readMeshFile(home);
  const local = parts === null ? [] : checkParts(parts);
  let mesh: OpenMesh;
  try {
    mesh = await openMesh(flags, 'doctor');
  } catch (error) {
    const checks = await guardedCheck('server', () => Promise.reject(toError(error)));
    return [...host, ...local, ...checks];
  }
  try {
    const { connection } = mesh;
    const log = parts === null ? [] : [logOf(parts.server.logFile)];
    return [
      ...host,
      ...local,
      checkServer(connection),
      ...log,
      ...(await guardedCheck('streams', () => checkStreams(connection, home))),
      ...(await guardedCheck('clock', () => checkClock(connection))),
      ...(await guardedCheck('coordinator', () => checkCoordinator(connection))),
      ...(await guardedCheck('agents', () => checkAgents(connection))),
    ];
  } finally {
    await mesh.close();
  }
}

async function checkBinary(home: string): Promise<Check[]> {
  const explicit = process.env['BENCHMESH_NATS_SERVER'] ?? '';
  const { file, source } = await findServerBinary({
    stateDir: serverPaths(home).dir,
    explicit: explicit === '' ? null : explicit,
    path: process.env['PATH'] ?? null,
  });
  return [{ name: 'server program', status: 'ok', detail: `${file} (${source})`, advice: null }];
}

function notRunning(home: string): Check {
  const advice = 'benchmesh up starts one; benchmesh run starts one for itself';
  return { name: 'mesh', status: 'warn', detail: `no mesh is running in ${home}`, advice };
}

function logOf(file: string): Check {
  return { name: 'log', status: 'ok', detail: `server: ${file}`, advice: null };
}
