/**
 * One process's connection to the simulated server: in order, late, broken now and then. A request in
 * flight when the link breaks may have been stored; what is sent while it is broken is lost.
 */
import type {
  ConnectionStatus,
  MeshConnection,
  RequestOptions,
  RequestOutcome,
} from '#protocol/nats/connection.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import type { SimServer } from './server.ts';
import type { Owner, World } from './world.ts';

export interface LinkTaps {
  /** A planted bug's way to change a request, or to answer it without the server. */
  onRequest?: (request: Request) => Request | RequestOutcome;
}

export interface Request {
  readonly by: string;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly options: RequestOptions;
}

export class Link implements MeshConnection {
  readonly url = 'nats://simulated';
  readonly serverVersion = '2.11.6';
  readonly log = silentLog;
  readonly owner: Owner;
  /** Share of messages that are lost on the way, each way. */
  lossShare = 0;
  readonly #world: World;
  readonly #server: SimServer;
  readonly #taps: LinkTaps;
  readonly #listeners = new Set<(status: ConnectionStatus) => void>();
  readonly #onUp = new Set<() => void>();
  readonly #pending = new Set<() => void>();
  #isCut = false;
  #isUp = true;
  #isClosed = false;
  /** Of the link: what is on its way when it breaks never arrives. */
  #session = 0;
  #outAtMs = 0;
  #inAtMs = 0;

  constructor(world: World, server: SimServer, owner: Owner, taps: LinkTaps) {
    this.#world = world;
    this.#server = server;
    this.owner = owner;
    this.#taps = taps;
    this.#isUp = server.isUp;
  }

  get nats(): never {
    throw new Error('there is no client in the simulation');
  }

  isConnected(): boolean {
    return this.#isUp && !this.#isClosed;
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  whenConnected(): Promise<void> {
    if (this.#isUp || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onUp.add(resolve);
    });
  }

  onStatus(listener: (status: ConnectionStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<RequestOutcome> {
    if (this.#world.touch() === 'dead') return new Promise(() => undefined);
    if (!this.isConnected()) return Promise.resolve({ kind: 'disconnected' });
    const asked = { by: this.owner.name, subject, data, options };
    const request = this.#taps.onRequest?.(asked) ?? asked;
    if ('kind' in request) return Promise.resolve(request);
    return new Promise((resolve) => {
      const settle = (outcome: RequestOutcome): void => {
        if (!this.#pending.delete(onBroken)) return;
        timer.cancel();
        resolve(outcome);
      };
      const onBroken = (): void => {
        this.#world.after(
          0,
          () => {
            settle({ kind: 'disconnected' });
          },
          this.owner,
        );
      };
      this.#pending.add(onBroken);
      const timer = this.#world.after(
        options.timeoutMs,
        () => {
          settle({ kind: 'timeout' });
        },
        this.owner,
      );
      this.toServer(() => {
        const answer = this.#server.answer(
          request.by,
          request.subject,
          request.data,
          request.options,
        );
        this.toProcess(() => {
          settle(answer);
        });
      });
    });
  }

  /** What arrives does so in order, or never. */
  toServer(arrive: () => void): void {
    if (!this.isConnected() || this.#world.chance(this.lossShare)) return;
    const session = this.#session;
    const { life } = this.#server;
    this.#outAtMs = Math.max(this.#outAtMs, this.#world.nowMs + this.#latencyMs());
    this.#world.after(
      this.#outAtMs - this.#world.nowMs,
      () => {
        // What was sent before a break of the link may have got through.
        const isThrough = session === this.#session || this.#world.chance(0.5);
        if (isThrough && this.#server.isUp && life === this.#server.life) arrive();
      },
      null,
    );
  }

  toProcess(arrive: () => void, isSure = false): void {
    if (!this.isConnected() || (!isSure && this.#world.chance(this.lossShare))) return;
    const session = this.#session;
    this.#inAtMs = Math.max(this.#inAtMs, this.#world.nowMs + this.#latencyMs());
    this.#world.after(
      this.#inAtMs - this.#world.nowMs,
      () => {
        if (session === this.#session && !this.#isClosed) arrive();
      },
      this.owner,
    );
  }

  /** A partition between this process and the server. */
  cut(isCut: boolean): void {
    this.#isCut = isCut;
    this.review();
  }

  /** The server went, or is back. */
  review(): void {
    const isUp = !this.#isCut && this.#server.isUp;
    if (isUp === this.#isUp) return;
    this.#session += 1;
    this.#isUp = isUp;
    if (!isUp) for (const onBroken of [...this.#pending]) onBroken();
    this.#world.after(
      0,
      () => {
        if (this.#isUp !== isUp || this.#isClosed) return;
        for (const listener of [...this.#listeners])
          listener(isUp ? 'reconnected' : 'disconnected');
        if (!isUp) return;
        for (const wake of [...this.#onUp]) wake();
        this.#onUp.clear();
      },
      this.owner,
    );
  }

  #latencyMs(): number {
    const slow = this.#world.chance(0.02) ? this.#world.between(0, 200) : 0;
    return this.#world.between(0.1, 3) + slow;
  }
}
