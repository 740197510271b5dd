/**
 * One sweep (core/sweep.ts says when): what came after the end of archived runs is purged, and what
 * belongs to no run is kept to its last messages. Idempotent; one at a time.
 *
 * 1. A run is purged only with proof that it was archived: its directory is there, or a release of it
 *    is stored. What is not proven stays, and is said.
 * 2. A release is over when the agent's mailbox has passed it: from then on the agent drops the run.
 *    Its last log messages may still come; they are purged a wait later, with the release itself. A revoke
 *    of such a run goes as soon as it was passed.
 * 3. The last message of a subject stays, so that its owner's expectation of it holds (I1); of a host's
 *    the last start stays too, and the newest change: views of the fleet are made of them (I2).
 */
import { filters, parseSubject, subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { mailboxFloor } from '#protocol/nats/agents/mailbox.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { deleteMessage, purgeSubject } from '#protocol/nats/streams/stream-purge.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { COORDINATOR_FLEET_ID } from '../core/core-reducer.ts';
import { KEPT_OBSERVATIONS } from '../core/ends/sweep.ts';
import type { SweepEffect } from '../core/ends/late-state.ts';
import { isArchived } from './archive.ts';

/** Of a host's and a fleet subject. */
export const KEPT_MESSAGES = KEPT_OBSERVATIONS;
const READ_MS = 30_000;

export interface SweepEnvironment {
  readonly connection: MeshConnection;
  readonly clock: Clock;
  readonly log: Log;
  readonly resultsDir: string;
  /** Between a release received and its last sweep. */
  readonly waitMs: number;
  readonly isLive: (run: string) => boolean;
}

interface CommandAt {
  readonly agent: string;
  readonly run: string;
  /** In BM_COMMANDS. */
  readonly sequence: number;
}

/** Makes what performs sweeps. It rejects with MeshError `mesh_unreachable` or `timed_out`; repeat then. */
export function createSweeper(env: SweepEnvironment): (job: SweepEffect) => Promise<void> {
  /** When each release was first seen received. */
  const receivedMs = new Map<number, number>();
  return async (job) => {
    const releases = await readCommands(env.connection, filters.releases());
    const released = new Set(releases.map(({ run }) => run));
    for (const { run, files } of job.runs) {
      if (env.isLive(run)) continue;
      if (released.has(run) || (await isArchived(env.resultsDir, run)))
        await sweepRun(env, run, files);
      else env.log.warn({ run }, 'events of a run that is not known: they stay');
    }
    for (const command of job.commands)
      await purgeSubject(env.connection, STREAMS.events, filters.acksOf(command));
    await sweepReleases(env, releases, receivedMs);
    await sweepRevokes(env);
    for (const sequence of job.superseded)
      await deleteMessage(env.connection, STREAMS.events, sequence);
    for (const { agent, sequence } of job.forgotten) {
      const before = { seq: sequence + 1 };
      await purgeSubject(env.connection, STREAMS.events, subjects.fleet(agent), before);
    }
    await trim(env, job.agents);
  };
}

async function readCommands(connection: MeshConnection, filter: string): Promise<CommandAt[]> {
  const found: CommandAt[] = [];
  const query = { stream: STREAMS.commands, filters: [filter], timeoutMs: READ_MS };
  await readAll(connection, query, ({ subject, sequence }) => {
    const parsed = parseSubject(subject);
    if (parsed?.kind !== 'command') return;
    found.push({ agent: parsed.agent, run: parsed.run, sequence });
  });
  return found;
}

async function sweepRun(
  { connection, log }: SweepEnvironment,
  run: string,
  files: SweepEffect['runs'][number]['files'],
): Promise<void> {
  let purged = await purgeSubject(connection, STREAMS.logs, filters.logsOf(run));
  for (const { agent, sha256 } of files) {
    const chunks = filters.chunksOf(agent, { run, sha256 });
    purged += await purgeSubject(connection, STREAMS.files, chunks);
  }
  purged += await purgeSubject(connection, STREAMS.events, filters.attemptEventsOf(run));
  log.info({ run, purged }, 'what came late of an archived run was purged');
}

/** Logs that came without an event, from agents that have received their release by now (2). */
async function sweepReleases(
  env: SweepEnvironment,
  releases: readonly CommandAt[],
  receivedMs: Map<number, number>,
): Promise<void> {
  const { connection, clock, waitMs } = env;
  const nowMs = clock.now().monotonicMs;
  const floors = new Map<string, number>();
  for (const { agent, run, sequence } of releases) {
    if (!floors.has(agent)) floors.set(agent, await mailboxFloor(connection, agent));
    if (sequence > (floors.get(agent) ?? 0)) continue;
    const sinceMs = receivedMs.get(sequence) ?? nowMs;
    receivedMs.set(sequence, sinceMs);
    if (nowMs - sinceMs < waitMs || env.isLive(run)) continue;
    await purgeSubject(connection, STREAMS.logs, filters.logsOf(run));
    await purgeSubject(connection, STREAMS.events, filters.attemptEventsOf(run));
    await deleteMessage(connection, STREAMS.commands, sequence);
    receivedMs.delete(sequence);
  }
}

/** Those that nobody has removed with their answer, since their run was over before it came. */
async function sweepRevokes({ connection, isLive }: SweepEnvironment): Promise<void> {
  const floors = new Map<string, number>();
  for (const { agent, run, sequence } of await readCommands(connection, filters.revokes())) {
    if (isLive(run)) continue;
    if (!floors.has(agent)) floors.set(agent, await mailboxFloor(connection, agent));
    if (sequence <= (floors.get(agent) ?? 0))
      await deleteMessage(connection, STREAMS.commands, sequence);
  }
}

async function trim(
  { connection }: SweepEnvironment,
  agents: SweepEffect['agents'],
): Promise<void> {
  const last = { keep: KEPT_MESSAGES };
  for (const { id, startedSequence, saidSince } of agents) {
    const host = saidSince < KEPT_MESSAGES ? last : { seq: startedSequence };
    await purgeSubject(connection, STREAMS.events, subjects.hostEvents(id), host);
    await purgeSubject(connection, STREAMS.events, subjects.fleet(id), last);
  }
  const own = subjects.fleet(COORDINATOR_FLEET_ID);
  await purgeSubject(connection, STREAMS.events, own, last);
}
