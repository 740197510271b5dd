/**
 * A coordinator process: contends for the lease as coordinator/coordinator.ts does, and leads by the real
 * term: claim, intake, core, fenced publisher. Archiving is a wait and a name in a set.
 */
import { CORE_TIMING, type ApiAnswer } from '#coordinator/core/core-state.ts';
import type { TermPorts } from '#coordinator/term-ports.ts';
import { beginTerm, type Term } from '#coordinator/term.ts';
import { encode } from '#protocol/messages/envelope.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { filters, parseSubject } from '#protocol/messages/subjects.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import { purgeSubject } from '#protocol/nats/streams/stream-purge.ts';
import { claimEpoch } from '#protocol/nats/leader/leader-claim.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { Link } from '../world/link.ts';
import { EPOCH_MS } from '../world/machine-globals.ts';
import type { Mesh } from './mesh.ts';
import { simSource } from '../world/tails.ts';
import { newOwner, type Owner } from '../world/world.ts';

const CLAIM_RETRY_MS = 500;
const LOOK_MS = 250;
const LEASE_MS = 2_000;
/** Few, so that old ones are removed in short runs too. */
const STARTS_KEPT = 4;

/** Who may try to lead: a wish, not a fence. */
export class Lease {
  holder: string | null = null;
  #renewedMs = -Infinity;

  /** True while it is the holder's, or free for it. */
  take(who: string, nowMs: number): boolean {
    if (this.holder !== who && nowMs - this.#renewedMs < LEASE_MS) return false;
    this.holder = who;
    this.#renewedMs = nowMs;
    return true;
  }

  /** Taken away while its holder lives and does not know it. */
  lose(): void {
    this.holder = null;
    this.#renewedMs = -Infinity;
  }
}

export class SimCoordinator {
  readonly id: string;
  owner: Owner | null = null;
  link: Link | null = null;
  term: Term | null = null;
  /** Does not look at the lease again: it believes that it leads. */
  isBlind = false;
  readonly #mesh: Mesh;
  readonly #lease: Lease;
  readonly #clock: Clock;
  readonly #cordonAfter: number;
  #starts = 0;

  constructor(
    mesh: Mesh,
    lease: Lease,
    { id, cordonAfter }: { readonly id: string; readonly cordonAfter: number },
  ) {
    this.#mesh = mesh;
    this.#lease = lease;
    this.id = id;
    this.#cordonAfter = cordonAfter;
    const { world } = mesh;
    const [skewMs, bootMs] = [world.between(-10_000, 10_000), world.between(0, 1e6)];
    this.#clock = {
      now: () => ({ wallMs: EPOCH_MS + world.nowMs + skewMs, monotonicMs: world.nowMs + bootMs }),
      after: (delayMs, fire) => world.after(delayMs, fire),
    };
  }

  get isRunning(): boolean {
    return this.owner?.isAlive === true;
  }

  async start(): Promise<void> {
    if (this.isRunning) return;
    const { world, server } = this.#mesh;
    this.#starts += 1;
    const owner = newOwner(`${this.id}.${this.#starts}`, () => {
      this.#onDeath(owner);
    });
    this.owner = owner;
    this.isBlind = false;
    const link = new Link(world, server, owner, this.#mesh.taps);
    this.link = link;
    this.#mesh.links.add(link);
    world.trace(() => `${owner.name} starts`);
    await world.as(owner, () => {
      void this.#live(owner, link).catch((error: unknown) => {
        this.#mesh.onBug(owner, error);
      });
    });
  }

  kill(): void {
    if (this.owner !== null) this.#mesh.world.die(this.owner);
  }

  #onDeath(owner: Owner): void {
    const { world, links } = this.#mesh;
    world.trace(() => `${owner.name} is dead`);
    if (this.link !== null) links.delete(this.link);
    if (this.#mesh.api?.owner === owner) this.#mesh.api = null;
    this.term = null;
    world.after(
      world.between(10, 4_000),
      () => {
        if (this.owner === owner) void this.start();
      },
      null,
    );
  }

  async #live(owner: Owner, link: Link): Promise<void> {
    const { world } = this.#mesh;
    for (;;) {
      if (this.#holds()) {
        try {
          await this.#lead(owner, link);
        } catch (error) {
          if (!(error instanceof MeshError) || error.code !== 'deposed') throw error;
        }
        await wait(world.after.bind(world), CLAIM_RETRY_MS);
      } else await wait(world.after.bind(world), LOOK_MS);
    }
  }

  #holds(): boolean {
    if (this.link?.isConnected() !== true) return this.isBlind;
    return this.isBlind || this.#lease.take(this.id, this.#mesh.world.nowMs);
  }

  async #lead(owner: Owner, link: Link): Promise<void> {
    const { world } = this.#mesh;
    const claim = await claimEpoch(link, {
      isLeading: () => this.#holds(),
      encode: (epoch, instance) =>
        encode({
          name: 'leader.elected',
          data: { coordinator: this.id, epoch, host: this.id, pid: 1, version: '0' },
          id: `${instance}-${epoch}`,
          timeMs: this.#clock.now().wallMs,
          writer: { source: `/coordinators/${this.id}`, epoch },
        }),
    });
    world.trace(() => `${owner.name} leads, epoch ${claim.epoch}`);
    await new Promise<void>((resolve) => {
      const term = beginTerm({
        connection: link,
        clock: this.#clock,
        log: silentLog,
        claim,
        id: this.id,
        host: this.id,
        pid: 1,
        version: '0',
        resultsDir: '/simulated-results',
        logFile: '',
        timing: {
          ...CORE_TIMING,
          startsKept: STARTS_KEPT,
          cordonAfter: this.#cordonAfter,
          preemptAfterMs: 400,
        },
        ports: this.#ports(owner, link),
        snapshots: this.#mesh.snapshots.port(),
        onEnded: (reason) => {
          world.trace(() => `${owner.name} leads no more: ${reason}`);
          this.term = null;
          if (this.#mesh.api?.owner === owner) this.#mesh.api = null;
          this.isBlind = false;
          resolve();
        },
        onBug: (error) => {
          this.#mesh.onBug(owner, error);
        },
      });
      this.term = term;
      const renew = (): void => {
        if (this.term !== term) return;
        // A holder that cannot renew ends its term by its own clock.
        if (!this.#holds()) void term.end('lease lost');
        else world.after(LEASE_MS / 4, renew);
      };
      renew();
      const keep = (): void => {
        if (this.term !== term) return;
        this.#mesh.snapshots.take();
        world.after(world.between(1_000, 20_000), keep);
      };
      world.after(world.between(100, 5_000), keep);
    });
  }

  #ports(owner: Owner, link: Link): TermPorts {
    const mesh = this.#mesh;
    const { world, archived } = mesh;
    const asked = (what: () => void): Promise<void> =>
      new Promise((resolve, reject) => {
        const late = world.after(2_000, () => {
          reject(new Error('no answer'));
        });
        link.toServer(() => {
          what();
          link.toProcess(() => {
            late.cancel();
            resolve();
          });
        });
      });
    return {
      source: simSource(mesh, link, mesh.taps),
      serveApi: ({ post, state }) => {
        const waiting = new Map<number, (answer: ApiAnswer) => void>();
        const api = { owner, link, post, state, waiting };
        mesh.api = api;
        return {
          answer: (token, reply) => {
            waiting.get(token)?.(reply);
          },
          stop: () => {
            if (mesh.api === api) mesh.api = null;
          },
        };
      },
      archivist: (env, { onArchived }) => ({
        archive: ({ run }) => {
          world.after(world.between(5, 300), () => {
            if (env.signal.aborted || world.touch() === 'dead') return;
            archived.add(run);
            if (mesh.api?.owner === owner) mesh.onArchived(run, mesh.api.state());
            onArchived(run, `/simulated-results/${run}`);
          });
        },
        notices: () => [],
      }),
      sweeper: (env) => async (job) => {
        for (const { run } of job.runs) {
          if (env.isLive(run) || !archived.has(run)) continue;
          for (const filter of filters.ownEvents(run))
            await purgeSubject(link, 'BM_EVENTS', filter);
        }
        for (const command of job.commands)
          await purgeSubject(link, 'BM_EVENTS', filters.acksOf(command));
        // As sweepRevokes of results/sweep.ts.
        for (const subject of [...mesh.server.commands.subjects()]) {
          const parsed = parseSubject(subject);
          if (parsed?.kind !== 'command' || parsed.command !== 'revoke') continue;
          const floor = mesh.server.mailboxes.get(parsed.agent)?.floor ?? 0;
          const isPassed = mesh.server.commands.messages.every(
            (message) => message?.subject !== subject || message.sequence <= floor,
          );
          if (isPassed && !env.isLive(parsed.run)) await purgeSubject(link, 'BM_COMMANDS', subject);
        }
      },
      isArchived: (_dir, run) => Promise.resolve(archived.has(run)),
      // Archives have no content here: no order is by a last run.
      lastRunOf: () => Promise.resolve(null),
      historyOf: () => Promise.resolve(new Map()),
      ensureMailbox: (agent) =>
        asked(() => {
          mesh.server.makeMailbox(agent);
        }),
      freeAgent: ({ agent, beforeMs }) =>
        asked(() => {
          mesh.server.freeAgent(agent, beforeMs);
        }),
    };
  }
}

function wait(after: (ms: number, run: () => void) => unknown, ms: number): Promise<void> {
  return new Promise((resolve) => {
    after(ms, resolve);
  });
}
