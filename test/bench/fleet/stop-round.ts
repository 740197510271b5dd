/**
 * Broadcast stops to the whole fleet, beside a bare message stored for the same durables.
 *
 * A stop: from before its publish until the operator has read from every agent that it is received,
 * and that it is done. A bare message: from before its publish until every agent's acknowledgement of
 * it has passed the server, seen from outside: nobody decides or says anything.
 */
import { publishStop } from '#cli/stop/perform-stop.ts';
import { encode, decode } from '#protocol/messages/envelope.ts';
import { newId } from '#protocol/messages/ids.ts';
import { filters, parseSubject, subjects } from '#protocol/messages/subjects.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { streamState } from '#protocol/nats/streams/stream-read.ts';
import { tail } from '#protocol/nats/streams/tail.ts';
import { until } from '#test/support/until.ts';
import type { FleetMesh } from './fleet-mesh.ts';
import { heldSuite } from './fleet-suite.ts';
import type { FleetOptions } from './options.ts';
import { CpuMeter } from './process-cpu.ts';
import { BARE_PREFIX } from './simulated-agent.ts';

export interface StopFigures {
  /** Of each try, ms. */
  readonly receivedMs: readonly number[];
  readonly doneMs: readonly number[];
  readonly bareMs: readonly number[];
  /** CPU time of one of them in the mean, ms, by process; `operator` is who sends it and reads the answers. */
  readonly stopCpuMs: Readonly<Record<string, number>>;
  readonly bareCpuMs: Readonly<Record<string, number>>;
}

/** A bound on hanging. */
const LONGEST_MS = 300_000;

export async function stopRounds(mesh: FleetMesh, options: FleetOptions): Promise<StopFigures> {
  const receivedMs: number[] = [];
  const doneMs: number[] = [];
  const bareMs: number[] = [];
  const stopCpuMs: Record<string, number> = {};
  const bareCpuMs: Record<string, number> = {};
  const add = (to: Record<string, number>, one: Readonly<Record<string, number>>): void => {
    for (const [part, ms] of Object.entries(one)) to[part] = (to[part] ?? 0) + ms / options.stops;
  };
  for (let round = 0; round < options.stops; round += 1) {
    const stop = await oneStop(mesh, options);
    receivedMs.push(stop.receivedMs);
    doneMs.push(stop.doneMs);
    add(stopCpuMs, stop.cpuMs);
    const bare = await bareBroadcast(mesh, options.agents);
    bareMs.push(bare.tookMs);
    add(bareCpuMs, bare.cpuMs);
  }
  return { receivedMs, doneMs, bareMs, stopCpuMs, bareCpuMs };
}

async function oneStop(
  mesh: FleetMesh,
  { agents, stopTasks }: FleetOptions,
): Promise<{ receivedMs: number; doneMs: number; cpuMs: Readonly<Record<string, number>> }> {
  await mesh.reports();
  const run = await mesh.submit(heldSuite(agents * stopTasks));
  let begun = 0;
  await until(
    async () => {
      for (const report of await mesh.reports()) begun += report.begun.length;
      return begun === agents * stopTasks;
    },
    'every task to run',
    LONGEST_MS,
  );
  const command = newId();
  const received = new Set<string>();
  const done = new Set<string>();
  let receivedAtMs = NaN;
  let doneAtMs = NaN;
  const reader = tail(mesh.connection, {
    stream: STREAMS.events,
    filters: [filters.acksOf(command)],
    onMessage: ({ subject, data }) => {
      const parsed = parseSubject(subject);
      const said = decode(data);
      if (parsed?.kind !== 'ack' || said.kind !== 'ok') return;
      if (said.message.name === 'command.received') received.add(parsed.agent);
      if (said.message.name === 'command.stop_done') {
        received.add(parsed.agent); // where it is done within a moment this is all it says
        done.add(parsed.agent);
      }
      if (received.size === agents) receivedAtMs ||= performance.now();
      if (done.size === agents) doneAtMs ||= performance.now();
    },
  });
  await quiet(mesh);
  const meter = meterOf(mesh);
  const beganMs = performance.now();
  const request = { run, task: null, graceMs: null, now: false, reason: 'bench' };
  await publishStop(mesh.connection, request, command);
  await until(() => !Number.isNaN(doneAtMs), 'every agent to have stopped', LONGEST_MS);
  const cpuMs = meter.usedMs();
  await reader.close();
  await until(() => mesh.archivedLines(run, 'run.json'), 'the end of the run', LONGEST_MS);
  return { receivedMs: receivedAtMs - beganMs, doneMs: doneAtMs - beganMs, cpuMs };
}

async function bareBroadcast(
  mesh: FleetMesh,
  agents: number,
): Promise<{ tookMs: number; cpuMs: Readonly<Record<string, number>> }> {
  const id = `${BARE_PREFIX}${newId()}`;
  const { nats } = mesh.connection;
  const acked = new Map<string, Set<string>>();
  const subscription = nats.subscribe(`$JS.ACK.${STREAMS.commands}.>`, {
    callback: (_error, { subject }) => {
      const [, , , consumer = '', , sequence = ''] = subject.split('.');
      const of = acked.get(sequence) ?? new Set();
      acked.set(sequence, of.add(consumer));
    },
  });
  await nats.flush();
  await quiet(mesh);
  const meter = meterOf(mesh);
  const beganMs = performance.now();
  // A message that the coordinator reads without a word, and the agents acknowledge at sight.
  const payload = encode({
    name: 'command.drain',
    data: { by: 'bench', reason: null },
    id,
    timeMs: Date.now(),
    writer: { source: '/operators/bench' },
  });
  const stored = await publishEvent(mesh.connection, subjects.stop(), payload);
  if (stored.kind !== 'stored') throw new Error(`a broadcast was not stored: ${stored.kind}`);
  const sequence = String(stored.sequence);
  await until(() => acked.get(sequence)?.size === agents, 'every acknowledgement', LONGEST_MS);
  const tookMs = performance.now() - beganMs;
  const cpuMs = meter.usedMs();
  subscription.unsubscribe();
  return { tookMs, cpuMs };
}

function meterOf(mesh: FleetMesh): CpuMeter {
  return new CpuMeter({ ...mesh.pids(), operator: [process.pid] });
}

/** Nothing is on its way any more: what came before is no part of the measurement. */
async function quiet(mesh: FleetMesh): Promise<void> {
  await until(async () => {
    const before = await lastSequences(mesh);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    return before === (await lastSequences(mesh));
  }, 'the streams to be quiet');
}

const QUIET_MS = 200;

async function lastSequences({ connection }: FleetMesh): Promise<string> {
  const states = await Promise.all(
    [STREAMS.events, STREAMS.commands].map((stream) => streamState(connection, stream)),
  );
  return states.map(({ lastSequence }) => lastSequence).join('/');
}
