/**
 * Release: after a run is archived its agents are told to drop it, and its subjects are purged.
 * Each part may be repeated; the run's own subject goes last, so that a coordinator that died in
 * between finds the run still archived and begins again.
 */
import { encode } from '#protocol/messages/envelope.ts';
import { filters, subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import type { FencedPublisher } from '#protocol/nats/leader/fenced-publisher.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { purgeSubject } from '#protocol/nats/streams/stream-purge.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { PurgeEffect } from '../core/core-state.ts';

const RELEASE_TTL_SECONDS = 30 * 24 * 3_600;

export interface ReleaseEnvironment {
  readonly connection: MeshConnection;
  readonly publisher: FencedPublisher;
  readonly clock: Clock;
  readonly writer: { readonly source: string; readonly epoch: number };
}

/** Removes objects of a run. Idempotent; rejects with `mesh_unreachable`. */
export async function dropFiles(
  connection: MeshConnection,
  run: string,
  files: PurgeEffect['files'],
): Promise<void> {
  for (const { agent, sha256 } of files) {
    await purgeSubject(connection, STREAMS.files, filters.chunksOf(agent, { run, sha256 }));
  }
}

/** Removes starts of a run that stand before that sequence. As `dropFiles`. */
export async function dropStarts(
  connection: MeshConnection,
  { run, before }: { readonly run: string; readonly before: number },
): Promise<void> {
  await purgeSubject(connection, STREAMS.commands, filters.startsOf(run), { seq: before });
}

/** Rejects with `deposed` or `mesh_unreachable`; repeat after the latter. */
export async function releaseRun(env: ReleaseEnvironment, job: PurgeEffect): Promise<void> {
  const { connection, publisher, clock, writer } = env;
  const { run } = job;
  await Promise.all(
    job.agents.map((agent) =>
      publisher.publish(
        subjects.command(agent, 'release', run),
        encode({
          name: 'command.release',
          data: { run },
          id: `release_${run}`,
          timeMs: clock.now().wallMs,
          writer,
        }),
        { ttl: RELEASE_TTL_SECONDS },
      ),
    ),
  );
  for (const filter of [filters.startsOf(run), ...gangCommandsOf(job)])
    await purgeSubject(connection, STREAMS.commands, filter);
  await purgeSubject(connection, STREAMS.logs, filters.logsOf(run));
  // Covers no filter of a reader that has several (stream-purge.ts): `metrics` follows with one.
  await purgeSubject(connection, STREAMS.metrics, filters.metricsOf(run));
  await dropFiles(connection, run, job.files);
  for (const command of job.stopCommands) {
    await purgeSubject(connection, STREAMS.events, filters.acksOf(command));
  }
  const own = subjects.run(run);
  for (const filter of filters.ownEvents(run)) {
    if (filter !== own) await purgeSubject(connection, STREAMS.events, filter);
  }
  await purgeSubject(connection, STREAMS.events, own);
}

/** What its ranks were told. Who has a revoke of a lost attempt still to read keeps all of them: the sweep has it then. */
function gangCommandsOf({ run, agents, hasGangs, owing }: PurgeEffect): string[] {
  if (!hasGangs) return [];
  const told =
    owing.length === 0
      ? [filters.revokesOf(run)]
      : agents
          .filter((agent) => !owing.includes(agent))
          .map((agent) => subjects.command(agent, 'revoke', run));
  return [filters.gosOf(run), filters.peersOf(run), ...told];
}
