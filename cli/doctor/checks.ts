/** What `doctor` looks at. Each check never rejects: what goes wrong is its finding. */
import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import type { AgentFold } from '#protocol/fold/fleet-fold.ts';
import { InfoReply } from '#protocol/messages/run/api.ts';
import { toError } from '#protocol/messages/errors.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { readSettings, serverPaths } from '#protocol/nats/server/server-files.ts';
import { call } from '#protocol/nats/rpc.ts';
import { streamState } from '#protocol/nats/streams/stream-read.ts';
import { compareStreams, STREAMS, streamConfigs } from '#protocol/nats/streams/streams.ts';
import type { MeshFile } from '#protocol/runtime/local-mesh.ts';
import { makeFolder } from '#protocol/runtime/make-folder.ts';
import { deadParts } from '../mesh/supervise.ts';
import { cordonText } from '../output/explain-text.ts';
import { bytes, duration, plural } from '../output/format.ts';
import { readFleet } from '../runs/fleet.ts';
import { bad, ok, type Check } from './check.ts';
import { gpuChecks } from './gpu-checks.ts';

const GIB = 1_024 ** 3;

/** Runs checks; one that fails to look is itself a failed check. */
export async function guardedCheck(
  name: string,
  look: () => Promise<Check[]>,
  advice = 'see the log of the server',
): Promise<Check[]> {
  try {
    return await look();
  } catch (error) {
    return [bad('fail', name, { detail: toError(error).message, advice })];
  }
}

export function checkServer(connection: MeshConnection): Check {
  return ok('server', `nats-server ${connection.serverVersion} at ${connection.url}`);
}

export async function checkStreams(
  connection: MeshConnection,
  home: string | null,
): Promise<Check[]> {
  const settings = home === null ? null : await readSettings(serverPaths(home));
  const limits = { totalBytes: settings?.maxStoreBytes ?? 4 * GIB };
  const found = await compareStreams(connection, limits);
  const broken = found.filter((difference) => difference.breaks);
  const asked = streamConfigs(limits);
  if (broken.length === 0) {
    return [ok('streams', `${asked.length} as asked`), ...(await checkFill(connection, limits))];
  }
  return broken.map(({ stream, field, asked: want, got }) =>
    bad('fail', 'streams', {
      detail: `${stream}: ${field} is ${JSON.stringify(got)}, asked was ${JSON.stringify(want)}`,
      advice: 'mend it with the nats tool, or let benchmesh up make the streams on a new server',
    }),
  );
}

async function checkFill(
  connection: MeshConnection,
  limits: { totalBytes: number },
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const { name, max_bytes: most = -1 } of streamConfigs(limits)) {
    const { bytes: used } = await streamState(connection, name);
    if (most <= 0 || used < most * 0.8) continue;
    checks.push(
      bad(used < most * 0.95 ? 'warn' : 'fail', 'stream space', {
        detail: `${name} holds ${bytes(used)} of ${bytes(most)}`,
        advice: 'let runs end and be archived: their events and logs are then dropped',
      }),
    );
  }
  return checks;
}

/** The server's clock against this host's, at the middle of the question. */
export async function checkClock(connection: MeshConnection): Promise<Check[]> {
  const before = Date.now();
  const { serverMs } = await streamState(connection, STREAMS.events);
  const skewMs = serverMs - (before + Date.now()) / 2;
  const detail = `the server is ${duration(Math.abs(skewMs))} ${skewMs < 0 ? 'behind' : 'ahead of'} this host`;
  if (Math.abs(skewMs) < 2_000) return [ok('clock', detail)];
  return [
    bad('warn', 'clock', { detail, advice: "set both by NTP: dates shown are the server's" }),
  ];
}

export async function checkCoordinator(connection: MeshConnection): Promise<Check[]> {
  const reply = await call(connection, 'info', {}, 3_000).catch((error: unknown) => toError(error));
  if (reply instanceof Error) {
    return [
      bad('fail', 'coordinator', {
        detail: reply.message,
        advice: 'benchmesh up starts one; runs wait meanwhile, stops work without it',
      }),
    ];
  }
  const info = InfoReply.parse(reply);
  const work = `${plural(info.liveRuns.length, 'live run')}, ${info.assigned} assigned, ${info.pending} pending`;
  const detail = `${info.coordinator} leads, epoch ${info.epoch}, pid ${info.pid} on ${info.host}: ${work}`;
  const notices = (info.notices ?? []).map((notice) =>
    bad('warn', 'coordinator', { detail: notice, advice: 'see its log' }),
  );
  return [ok('coordinator', detail), ok('log', `coordinator: ${info.logFile}`), ...notices];
}

export async function checkAgents(connection: MeshConnection): Promise<Check[]> {
  const { agents } = await readFleet(connection);
  if (agents.length === 0) {
    return [
      bad('fail', 'agents', { detail: 'no agent has joined', advice: 'benchmesh up starts one' }),
    ];
  }
  return agents.flatMap((agent) => {
    const name = `agent ${agent.agent}`;
    const at = agent.registration;
    if (agent.state === 'stopped') {
      return [bad('warn', name, { detail: 'has ended', advice: 'start it again' })];
    }
    if (agent.state === 'draining' && !agent.unreachable) {
      return [
        bad('warn', name, {
          detail: 'drains: it starts nothing more, and ends with what runs',
          advice: 'start it again when it has ended',
        }),
      ];
    }
    if (agent.unreachable) {
      return [
        bad('fail', name, {
          detail: 'is unreachable: it has been silent past its lease',
          advice: 'look at its host and its log; benchmesh up starts a local one again',
        }),
      ];
    }
    if (at === null) return [];
    return [
      rungCheck(name, at),
      ...cordonChecks(name, agent),
      ...gpuChecks(name, at),
      ok('log', `agent ${agent.agent}: ${at.logFile}`),
    ];
  });
}

function cordonChecks(name: string, { agent, cordon }: AgentFold): Check[] {
  if (cordon === null) return [];
  const detail = `nothing new is started there: ${cordonText(cordon)}`;
  return [bad('warn', name, { detail, advice: `benchmesh uncordon ${agent} when it is well` })];
}

/** The rung is fine if it proves; why there is no better one is told of each. Pure. */
export function rungCheck(name: string, at: Registration): Check {
  const { slots, cpus, rung, degraded, reservedCpus } = at;
  const why = degraded === null ? '' : `: ${degraded}`;
  const kept = reservedCpus === undefined ? '' : ` (${reservedCpus} reserved for the agent)`;
  const what = `${plural(slots, 'slot')}, ${plural(cpus, 'CPU')}${kept}, supervision rung ${rung}`;
  if (rung !== 'scan') {
    return ok(name, degraded === null ? what : `${what} (no cgroup rung${why})`);
  }
  return bad('warn', name, {
    detail: what + why,
    advice: 'stops on this host end as unproven on the scan rung',
  });
}

export async function checkDisk(name: string, dir: string): Promise<Check[]> {
  await makeFolder(dir);
  await access(dir, constants.W_OK);
  const { bavail, bsize } = await statfs(dir);
  const free = bavail * bsize;
  const detail = `${dir}: ${bytes(free)} free`;
  if (free >= GIB) return [ok(name, detail)];
  const status = free < GIB / 10 ? 'fail' : 'warn';
  return [bad(status, name, { detail, advice: 'free some space' })];
}

export function checkParts(mesh: MeshFile): Check[] {
  const dead = deadParts(mesh);
  const parts = [mesh.server, mesh.coordinator, mesh.agent].filter((part) => part !== null);
  const pids = parts.map((part) => part.pid).join(', ');
  if (dead.length === 0)
    return [ok('local mesh', `server, coordinator and agent run (pid ${pids})`)];
  return [
    bad('fail', 'local mesh', {
      detail: `${dead.join(', ')} not running`,
      advice: 'benchmesh up starts what is missing',
    }),
  ];
}
