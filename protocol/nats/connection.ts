/**
 * The one connection of a process to the mesh. It never gives up: once connected it reconnects for
 * ever, whatever the server answers (facts 3.7).
 *
 * 1. A publish while disconnected is silently dropped by the client, and a request in flight when
 *    the link breaks would only time out (facts 3.6, 3.8). So `request` here settles at once with
 *    `disconnected`, and callers wait on `whenConnected` and repeat (I8).
 * 2. Only a server >= 2.11 with JetStream is accepted: older ones ignore the expectations that I1
 *    stands on, without an error (facts 3.13).
 *
 *   connect() -> connected <-> disconnected -> closed (only by close())
 */
import {
  AuthorizationError,
  connect as dial,
  PermissionViolationError,
  UserAuthenticationExpiredError,
  usernamePasswordAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
} from '@nats-io/transport-node';
import { MeshError, toError } from '../messages/errors.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { Log } from '../runtime/log.ts';
import type { Credential } from './credential.ts';
import { nkeySigner } from './nkey.ts';
import { Requests, type RequestOptions, type RequestOutcome } from './requests.ts';

export type { RequestOptions, RequestOutcome } from './requests.ts';

export const MINIMUM_SERVER = '2.11';

export interface ConnectOptions {
  /** `nats://127.0.0.1:4222`; several are separated by commas. */
  readonly url: string;
  readonly credential: Credential | null;
  /** Shown by the server's monitoring: `agent local-1`. */
  readonly name: string;
  readonly log: Log;
  /** Gives up the first connect after this many ms; absent: tries for ever. */
  readonly deadlineMs?: number;
  /** Ends a first connect that tries for ever; it then rejects with `mesh_unreachable`. */
  readonly signal?: AbortSignal;
  /** Where replies come to; an agent's permissions name its own (facts section 4). */
  readonly inboxPrefix?: string;
}

export type ConnectionStatus = 'disconnected' | 'reconnected' | 'closed';

export interface MeshConnection {
  /** The client itself: for protocol/nats only. */
  readonly nats: NatsConnection;
  readonly url: string;
  readonly serverVersion: string;
  readonly log: Log;
  isConnected(): boolean;
  isClosed(): boolean;
  /** Resolves while connected, at once or when it next is; also when closed: look at isClosed(). */
  whenConnected(): Promise<void>;
  /** Calls `listener` on each change; returns what ends that. */
  onStatus(listener: (status: ConnectionStatus) => void): () => void;
  /** Core request; settles with `disconnected` as soon as the link breaks. */
  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<RequestOutcome>;
  /**
   * Sends what is buffered and closes. Close mailboxes and tails first: a drain with a live
   * consumer loses acks silently (facts 3.10). Resolves when closed; never rejects.
   */
  close(): Promise<void>;
}

const RETRY = { firstMs: 100, maxMs: 2_000, factor: 1.6 } as const;

/**
 * Connects and checks the server. Rejects with MeshError `mesh_unreachable` (after `deadlineMs`, or
 * aborted), `not_permitted`, `server_too_old` or `jetstream_disabled`; the last three at once, even
 * without a deadline, since waiting cannot mend them.
 */
export async function connect(options: ConnectOptions): Promise<MeshConnection> {
  const { url, log, deadlineMs, signal } = options;
  const started = performance.now();
  const servers = url.split(',').map((part) => part.trim());
  for (let attempt = 0; ; attempt += 1) {
    const left = deadlineMs === undefined ? 5_000 : deadlineMs - (performance.now() - started);
    try {
      const nats = await dial(clientOptions(options, servers, Math.max(50, Math.min(5_000, left))));
      try {
        return wrap(nats, options, servers[0] ?? url);
      } catch (error) {
        await nats.close();
        throw error;
      }
    } catch (error) {
      if (error instanceof MeshError) throw error;
      if (isAuthError(error)) {
        throw new MeshError('not_permitted', `the server at ${url} refuses the credential`, error);
      }
      const waitMs = backoffMs(RETRY, Math.min(attempt, 20), Math.random());
      const elapsed = performance.now() - started;
      if (
        (deadlineMs !== undefined && elapsed + waitMs >= deadlineMs) ||
        signal?.aborted === true
      ) {
        throw new MeshError(
          'mesh_unreachable',
          `no nats-server answers at ${url} (${toError(error).message})`,
          error,
        );
      }
      if (attempt === 0)
        log.warn({ url, err: toError(error).message }, 'server not reachable, trying on');
      await pause(waitMs, signal);
    }
  }
}

function clientOptions(
  options: ConnectOptions,
  servers: string[],
  timeoutMs: number,
): NodeConnectionOptions {
  const { credential, name, inboxPrefix } = options;
  return {
    servers,
    name,
    timeout: timeoutMs,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: () => 200 + Math.random() * 300,
    pingInterval: 5_000,
    maxPingOut: 2,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
    ...(credential === null ? {} : { authenticator: authenticatorOf(credential) }),
  };
}

function authenticatorOf(
  credential: Credential,
): NonNullable<NodeConnectionOptions['authenticator']> {
  return credential.kind === 'nkey'
    ? nkeySigner(credential.seed)
    : usernamePasswordAuthenticator(credential.user, credential.password);
}

function wrap(nats: NatsConnection, options: ConnectOptions, url: string): MeshConnection {
  const { log } = options;
  const serverVersion = nats.info?.version ?? 'unknown';
  if (!isNewEnough(serverVersion)) {
    throw new MeshError(
      'server_too_old',
      `nats-server ${serverVersion} at ${url} is too old: benchmesh needs ${MINIMUM_SERVER} or newer; upgrade it, or leave out --server to use the bundled one`,
    );
  }
  if (nats.info?.jetstream !== true) {
    throw new MeshError(
      'jetstream_disabled',
      `nats-server ${serverVersion} at ${url} runs without JetStream; start it with -js or a jetstream block in its config`,
    );
  }
  const requests = new Requests(nats, options.inboxPrefix);
  return new Connection({ nats, url, serverVersion, log, requests });
}

interface ConnectionParts {
  readonly nats: NatsConnection;
  readonly url: string;
  readonly serverVersion: string;
  readonly log: Log;
  readonly requests: Requests;
}

class Connection implements MeshConnection {
  readonly nats: NatsConnection;
  readonly url: string;
  readonly serverVersion: string;
  readonly log: Log;
  #connected = true;
  #closed = false;
  readonly #listeners = new Set<(status: ConnectionStatus) => void>();
  readonly #requests: Requests;

  constructor(parts: ConnectionParts) {
    this.nats = parts.nats;
    this.url = parts.url;
    this.serverVersion = parts.serverVersion;
    this.log = parts.log;
    this.#requests = parts.requests;
    void this.#follow();
  }

  async #follow(): Promise<void> {
    for await (const status of this.nats.status()) {
      if (status.type === 'disconnect') this.#change(false, 'disconnected');
      else if (status.type === 'reconnect') this.#change(true, 'reconnected');
      else if (status.type === 'error') {
        this.log.warn({ err: status.error.message }, 'server reported an error');
        if (status.error instanceof PermissionViolationError) this.#requests.refuse(status.error);
      }
    }
    this.#closed = true;
    this.#change(false, 'closed');
  }

  #change(connected: boolean, status: ConnectionStatus): void {
    const was = this.#connected;
    this.#connected = connected;
    if (status !== 'closed') {
      if (was === connected) return;
      this.log.info({ url: this.url }, `connection ${status}`);
    }
    if (!connected) this.#requests.breakAll();
    for (const listener of [...this.#listeners]) listener(status);
  }

  isConnected(): boolean {
    return this.#connected;
  }

  isClosed(): boolean {
    return this.#closed || this.nats.isClosed();
  }

  whenConnected(): Promise<void> {
    if (this.#connected || this.isClosed()) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.onStatus((status) => {
        if (status === 'disconnected') return;
        stop();
        resolve();
      });
    });
  }

  onStatus(listener: (status: ConnectionStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<RequestOutcome> {
    if (!this.#connected) return Promise.resolve({ kind: 'disconnected' });
    return this.#requests.send(subject, data, options);
  }

  async close(): Promise<void> {
    if (this.nats.isClosed()) return;
    try {
      if (this.#connected) await this.nats.drain();
      else await this.nats.close();
    } catch {
      await this.nats.close();
    }
  }
}

/** Whether the server has looked at the credential and refused it; a busy one may not have come to that. */
export function isAuthError(error: unknown): boolean {
  if (error instanceof UserAuthenticationExpiredError) return true;
  return error instanceof AuthorizationError && !/authentication timeout/i.test(error.message);
}

/** True for 2.11 and newer, `v` and suffixes allowed. */
export function isNewEnough(version: string): boolean {
  const match = /^v?(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > 2 || (major === 2 && minor >= 11);
}

/** Resolves after `ms`, or when aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener('abort', finish);
    if (signal?.aborted === true) finish();
  });
}
