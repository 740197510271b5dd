/** Tails of simulated streams: every message once, in order, each a little later, through broken links. */
import type { IntakeSource } from '#coordinator/intake-source.ts';
import type { Tail, TailMessage, TailOptions } from '#protocol/nats/streams/tail.ts';
import type { Link } from './link.ts';
import type { SimServer, SimStream, Stored } from './server.ts';
import type { World } from './world.ts';

export interface TailTaps {
  /** A planted bug's way to drop a message for the leader, or to change it. */
  onTail?: (message: Stored) => Stored | null;
  /** A planted bug: a tail says at once that it has caught up. */
  isRash?: boolean;
}

interface Beats {
  readonly listeners: Set<(agent: string, body: Uint8Array) => void>;
}

/** How much of a stream comes in one go. */
const BATCH = 16;

export function simSource(
  mesh: { readonly world: World; readonly server: SimServer; readonly beats: Beats },
  link: Link,
  taps: TailTaps,
): IntakeSource {
  const { world, server, beats } = mesh;
  return {
    tail: (options) =>
      new SimTail({ world, server, link, taps }, server.stream(options.stream), options),
    watchAgents: (watch) => {
      let isClosed = false;
      const tell = (agent: string): void => {
        link.toProcess(() => {
          const { data = null, atMs: timeMs = 0 } = server.registry.get(agent) ?? {};
          if (isClosed) return;
          if (data === null) watch.onForgotten(agent);
          else watch.onAgent({ agent, data, instance: agent, revision: 1, timeMs });
        }, true);
      };
      const tellAll = (): void => {
        for (const agent of server.registry.keys()) tell(agent);
        link.toProcess(() => {
          if (!isClosed) watch.onCaughtUp?.();
        }, true);
      };
      tellAll();
      const stop = server.watchRegistry(tell);
      // What was told while the link was broken is told again.
      const ignore = link.onStatus((status) => {
        if (status === 'reconnected') tellAll();
      });
      return {
        sequence: () => 0,
        ended: new Promise(() => undefined),
        close: () => {
          isClosed = true;
          stop();
          ignore();
          return Promise.resolve();
        },
      };
    },
    heartbeats: (onHeartbeat) => {
      const listener = (agent: string, body: Uint8Array): void => {
        link.toProcess(() => {
          onHeartbeat(agent, body);
        });
      };
      beats.listeners.add(listener);
      return {
        stop: () => {
          beats.listeners.delete(listener);
        },
      };
    },
    onStatus: (listener) => link.onStatus(listener),
  };
}

interface TailMesh {
  readonly world: World;
  readonly server: SimServer;
  readonly link: Link;
  readonly taps: TailTaps;
}

class SimTail implements Tail {
  readonly ended: Promise<void>;
  readonly #mesh: TailMesh;
  readonly #stream: SimStream;
  readonly #options: TailOptions;
  readonly #upTo: number;
  readonly #stops: (() => void)[];
  #onEnded: () => void = () => undefined;
  #at: number;
  #isOnItsWay = false;
  #isCaughtUp = false;
  #isClosed = false;

  constructor(mesh: TailMesh, stream: SimStream, options: TailOptions) {
    this.#mesh = mesh;
    this.#stream = stream;
    this.#options = options;
    this.#at = (options.fromSequence ?? 1) - 1;
    this.#upTo = stream.lastSequence;
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
    const pump = (): void => {
      this.#pump();
    };
    const onStatus = (): void => {
      this.#isOnItsWay = false;
      pump();
    };
    this.#stops = [mesh.server.watch(pump), mesh.link.onStatus(onStatus)];
    pump();
  }

  sequence(): number {
    return this.#at;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    this.#onEnded();
    return Promise.resolve();
  }

  #pump(): void {
    const { link } = this.#mesh;
    if (this.#isOnItsWay || this.#isClosed || !link.isConnected() || !link.owner.isAlive) return;
    if (this.#at >= this.#stream.lastSequence && this.#isCaughtUp) return;
    this.#isOnItsWay = true;
    // A tail asks again for what it misses: nothing is lost for good.
    link.toProcess(() => {
      this.#isOnItsWay = false;
      this.#take();
      this.#pump();
    }, true);
  }

  #take(): void {
    const { taps } = this.#mesh;
    const until = Math.min(this.#at + BATCH, this.#stream.lastSequence);
    while (this.#at < until && !this.#isClosed) {
      const found = this.#stream.messages[this.#at] ?? null;
      this.#at += 1;
      const message = found === null || taps.onTail === undefined ? found : taps.onTail(found);
      if (message !== null) void this.#options.onMessage(tailMessage(message));
    }
    const isRash = taps.isRash === true;
    if (this.#isCaughtUp || this.#isClosed || (this.#at < this.#upTo && !isRash)) return;
    this.#isCaughtUp = true;
    void this.#options.onCaughtUp?.({ sequence: this.#at, serverMs: 0 });
  }
}

function tailMessage({ subject, sequence, timeMs, data, headers }: Stored): TailMessage {
  return { subject, sequence, timeMs, data, header: (name) => headers[name] ?? null };
}
