/**
 * What a term reaches of the mesh beside the publishing through its connection: where it reads, serves
 * and archives. A term is given others where there is no server, as in the simulation.
 */
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { ensureMailbox } from '#protocol/nats/agents/mailbox.ts';
import { findLastRun, readRunHistory } from '#protocol/runtime/last-run.ts';
import type { RunHistory } from '#protocol/suite/task-order.ts';
import { freeAgent } from './fleet/free-agent.ts';
import { serveApi, type Api, type ApiEnvironment } from './api/serve-api.ts';
import { natsSource, type IntakeSource } from './intake-source.ts';
import { isArchived, type ArchiveEnvironment } from './results/archive.ts';
import { createArchivist, type Archivist, type ArchivistOptions } from './results/archivist.ts';
import { createSweeper, type SweepEnvironment } from './results/sweep.ts';
import type { SweepEffect } from './core/ends/late-state.ts';

export interface TermPorts {
  readonly source: IntakeSource;
  serveApi(env: Omit<ApiEnvironment, 'connection'>): Api;
  archivist(env: ArchiveEnvironment, options: ArchivistOptions): Archivist;
  sweeper(env: SweepEnvironment): (job: SweepEffect) => Promise<void>;
  isArchived(resultsDir: string, run: string): Promise<boolean>;
  /** The newest archived run of a suite; null: none. */
  lastRunOf(resultsDir: string, suite: string): Promise<string | null>;
  /** Rejects where it cannot be read. */
  historyOf(resultsDir: string, run: string): Promise<RunHistory>;
  /** Idempotent. Rejects with MeshError. */
  ensureMailbox(agent: string): Promise<void>;
  /** As `ensureMailbox`. */
  freeAgent(of: { readonly agent: string; readonly beforeMs: number }): Promise<void>;
}

export function natsPorts(connection: MeshConnection): TermPorts {
  return {
    source: natsSource(connection),
    serveApi: (env) => serveApi({ ...env, connection }),
    archivist: createArchivist,
    sweeper: createSweeper,
    isArchived,
    lastRunOf: findLastRun,
    historyOf: readRunHistory,
    ensureMailbox: (agent) => ensureMailbox(connection, agent),
    freeAgent: (of) => freeAgent(connection, of),
  };
}
