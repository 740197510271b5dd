/**
 * A coordinator's life: contend for the lease; lead while it holds; stand by again.
 *
 *   standing by --(lease)--> claiming --(both epochs)--> term --(lost | deposed)--> standing by
 *
 * 1. At most one term at a time; the next begins only when the last has ended.
 * 2. The lease decides who tries to lead; the claim decides whose writes are stored (I1).
 */
import { access, constants } from 'node:fs/promises';
import { encode } from '#protocol/messages/envelope.ts';
import { errnoOf, MeshError, toError } from '#protocol/messages/errors.ts';
import { newId } from '#protocol/messages/ids.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { pause } from '#protocol/nats/connection.ts';
import { claimEpoch } from '#protocol/nats/leader/leader-claim.ts';
import {
  contendForLease,
  type LeaseContender,
  type LeaseHolder,
  type LeaseOptions,
} from '#protocol/nats/leader/lease.ts';
import { ensureStreams } from '#protocol/nats/streams/streams.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { makeFolder } from '#protocol/runtime/make-folder.ts';
import type { CoreTiming } from './core/core-state.ts';
import type { SnapshotPort } from './snapshot/snapshot-port.ts';
import { beginTerm, type Term } from './term.ts';

export interface CoordinatorOptions {
  /** Belongs to the caller, who closes it after `stop`. */
  readonly connection: MeshConnection;
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  /** Absolute. */
  readonly resultsDir: string;
  readonly logFile: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly leaseTtlMs?: number;
  /** How the lease is contended for. Absent: in this thread, by its connection. */
  readonly contend?: (options: LeaseOptions) => LeaseContender;
  /** Absent: each new leader reads all. */
  readonly snapshots?: SnapshotPort;
  readonly timing?: CoreTiming;
  readonly onStandby?: (holder: LeaseHolder) => void;
  /** A defect: the process should end. */
  readonly onBug: (error: unknown) => void;
}

export interface Coordinator {
  /** The term in progress, null while standing by. */
  term(): Term | null;
  /** Ends the term and gives the lease back. Idempotent. */
  stop(): Promise<void>;
}

const CLAIM_RETRY_MS = 500;

/**
 * Makes the streams and the results folder, then contends. Rejects with MeshError
 * `stream_config_mismatch`, `mesh_unreachable`, `state_unwritable` or `disk_full`.
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  await checkResultsDir(options.resultsDir);
  for (const { stream, field, asked, got } of await ensureStreams(options.connection)) {
    options.log.info({ stream, field, asked, got }, 'stream is configured differently');
  }
  return new Life(options);
}

class Life implements Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #lease: LeaseContender;
  #term: Term | null = null;
  #leading: Promise<void> = Promise.resolve();
  #isStopping = false;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    const { connection, log, id, host, pid } = options;
    const contend = options.contend ?? ((lease) => contendForLease(connection, lease));
    this.#lease = contend({
      holder: newId(),
      description: `${id}, ${host}, ${pid}`,
      ...(options.leaseTtlMs === undefined ? {} : { ttlMs: options.leaseTtlMs }),
      onAcquired: () => {
        this.#leading = this.#leading.then(() => this.#lead()).catch(options.onBug);
      },
      onLost: (reason) => {
        log.warn({ reason }, 'lease lost, standing by');
        void this.#term?.end(reason);
      },
      onStandby: (holder) => {
        log.info({ holder: holder.description }, 'another coordinator leads, standing by');
        options.onStandby?.(holder);
      },
    });
  }

  term(): Term | null {
    return this.#term;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#term?.end('stopping');
    await this.#lease.stop();
    await this.#leading;
  }

  async #lead(): Promise<void> {
    while (this.#mayLead()) {
      try {
        await this.#oneTerm();
      } catch (error) {
        if (!(error instanceof MeshError) || error.code !== 'deposed') throw error;
        this.#options.log.warn({ err: toError(error).message }, 'could not claim the epoch');
      }
      if (this.#mayLead()) await pause(CLAIM_RETRY_MS);
    }
  }

  async #oneTerm(): Promise<void> {
    const { connection, id, host, pid, version, clock, log } = this.#options;
    const claim = await claimEpoch(connection, {
      isLeading: () => this.#mayLead(),
      encode: (epoch, instance) =>
        encode({
          name: 'leader.elected',
          data: { coordinator: id, epoch, host, pid, version },
          id: `${instance}-${epoch}`,
          timeMs: clock.now().wallMs,
          writer: { source: `/coordinators/${id}`, epoch },
        }),
    });
    if (!this.#mayLead()) return;
    const ended = new Promise<string>((resolve) => {
      this.#term = beginTerm({ ...this.#options, claim, onEnded: resolve });
    });
    const reason = await ended;
    log.info({ epoch: claim.epoch, reason }, 'term ended');
    this.#term = null;
  }

  #mayLead(): boolean {
    return !this.#isStopping && this.#lease.isLeading();
  }
}

async function checkResultsDir(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = errnoOf(error) === 'ENOSPC' ? 'disk_full' : 'state_unwritable';
    throw new MeshError(code, `results folder ${folder}: ${toError(error).message}`, error);
  }
}
