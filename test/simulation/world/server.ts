/**
 * The simulated nats-server: two streams with the server's rules for expectations, direct gets, purges
 * and a full stream; durable mailboxes that deliver again what was not acknowledged. Its answers are
 * those of the real one, so that the real publishers read them.
 */
import type { RequestOptions, RequestOutcome } from '#protocol/nats/connection.ts';
import { SERVER_HEADERS } from '#protocol/nats/headers.ts';
import { filters, subjects } from '#protocol/messages/subjects.ts';
import { EPOCH_MS } from './machine-globals.ts';
import { SimMailbox } from './mailbox.ts';
import type { World } from './world.ts';

export interface Stored {
  readonly stream: StreamName;
  readonly subject: string;
  readonly sequence: number;
  readonly timeMs: number;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** Whose connection it came by. */
  readonly by: string;
}

export type StreamName = 'BM_EVENTS' | 'BM_COMMANDS';

export class SimStream {
  readonly name: StreamName;
  readonly messages: (Stored | null)[] = [];
  readonly #ofSubject = new Map<string, number[]>();
  isFull = false;

  constructor(name: StreamName) {
    this.name = name;
  }

  get lastSequence(): number {
    return this.messages.length;
  }

  /** The newest that is left on the subject; 0 for none. */
  lastOf(subject: string): number {
    return this.#ofSubject.get(subject)?.at(-1) ?? 0;
  }

  /** How many are left on the subject. */
  countOf(subject: string): number {
    return this.#ofSubject.get(subject)?.length ?? 0;
  }

  onRemoved: (message: Stored) => void = () => undefined;

  store(message: Omit<Stored, 'sequence' | 'stream'>): Stored {
    const stored = { ...message, stream: this.name, sequence: this.messages.length + 1 };
    this.messages.push(stored);
    const known = this.#ofSubject.get(message.subject);
    if (known === undefined) this.#ofSubject.set(message.subject, [stored.sequence]);
    else known.push(stored.sequence);
    return stored;
  }

  remove(sequence: number): boolean {
    const message = this.messages[sequence - 1] ?? null;
    if (message === null) return false;
    this.messages[sequence - 1] = null;
    this.onRemoved(message);
    const left = (this.#ofSubject.get(message.subject) ?? []).filter((one) => one !== sequence);
    if (left.length === 0) this.#ofSubject.delete(message.subject);
    else this.#ofSubject.set(message.subject, left);
    return true;
  }

  purge(filter: string, before = Infinity): number {
    const matches = matcher(filter);
    const found = [...this.#ofSubject]
      .filter(([subject]) => matches(subject))
      .flatMap(([, all]) => all.filter((sequence) => sequence < before));
    for (const sequence of found) this.remove(sequence);
    return found.length;
  }

  subjects(): Iterable<string> {
    return this.#ofSubject.keys();
  }
}

const OPERATOR_MS = 120_000;

export interface ServerHooks {
  /** Stored just now. */
  readonly onStored: (message: Stored) => void;
}

export class SimServer {
  readonly events = new SimStream('BM_EVENTS');
  readonly commands = new SimStream('BM_COMMANDS');
  readonly mailboxes = new Map<string, SimMailbox>();
  /** By agent; null: forgotten. */
  readonly registry = new Map<
    string,
    { readonly data: Uint8Array | null; readonly atMs: number }
  >();
  readonly #world: World;
  readonly #hooks: ServerHooks;
  readonly #watchers = new Set<() => void>();
  readonly #registryWatchers = new Set<(agent: string) => void>();
  /** The window of the server's own deduplication, by message id; 0: there is none to rely on. */
  dedupeMs = 120_000;
  readonly #ids = new Map<string, { readonly sequence: number; readonly atMs: number }>();
  isUp = true;
  /** Grows with each crash: what was on its way to the one before is lost. */
  life = 0;

  constructor(world: World, hooks: ServerHooks) {
    this.#world = world;
    this.#hooks = hooks;
  }

  /** Calls it whenever something was stored; answers what ends that. */
  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  watchRegistry(onChange: (agent: string) => void): () => void {
    this.#registryWatchers.add(onChange);
    return () => this.#registryWatchers.delete(onChange);
  }

  register(agent: string, data: Uint8Array | null): void {
    this.registry.set(agent, { data, atMs: Math.floor(EPOCH_MS + this.#world.nowMs) });
    for (const each of this.#registryWatchers) each(agent);
  }

  /** What the real one does of these for coordinator/fleet/free-agent.ts. */
  freeAgent(agent: string, beforeMs: number): void {
    for (const filter of filters.ordersTo(agent)) this.commands.purge(filter);
    this.events.purge(subjects.hostEvents(agent));
    const known = this.registry.get(agent);
    if (known === undefined || known.data === null || known.atMs > beforeMs) return;
    this.mailboxes.delete(agent);
    this.register(agent, null);
  }

  stream(name: string): SimStream {
    return name === 'BM_COMMANDS' ? this.commands : this.events;
  }

  makeMailbox(agent: string): void {
    if (this.mailboxes.has(agent)) return;
    const wanted = [filters.mailbox(agent)[0]?.replace('>', '') ?? '', subjects.stop()];
    this.mailboxes.set(agent, new SimMailbox(this.#world, this.commands, wanted));
  }

  /** kill -9: acknowledged messages stay, of consumers the last acknowledgements may be lost. */
  crash(): void {
    this.isUp = false;
    this.life += 1;
    for (const mailbox of this.mailboxes.values()) mailbox.onCrash();
  }

  answer(by: string, subject: string, data: Uint8Array, options: RequestOptions): RequestOutcome {
    const last = /^\$JS\.API\.DIRECT\.GET\.(\w+)\.(.+)$/.exec(subject);
    if (last !== null) return this.#lastMessage(last[1] ?? '', last[2] ?? '');
    const purged = /^\$JS\.API\.STREAM\.(PURGE|MSG\.DELETE)\.(\w+)$/.exec(subject);
    if (purged !== null) return this.#remove(this.stream(purged[2] ?? ''), data);
    return reply(this.#publish(by, subject, data, options.headers ?? {}));
  }

  #publish(
    by: string,
    subject: string,
    data: Uint8Array,
    headers: Readonly<Record<string, string>>,
  ): unknown {
    const stream = subject.startsWith('bm.v1.cmd.') ? this.commands : this.events;
    const { nowMs } = this.#world;
    const id = headers[SERVER_HEADERS.messageId];
    const before = id === undefined ? undefined : this.#ids.get(`${stream.name} ${id}`);
    // An operator repeats for seconds, which the window always covers.
    const windowMs = by === 'operator' ? OPERATOR_MS : this.dedupeMs;
    // Before any expectation (facts 3.3).
    if (before !== undefined && nowMs - before.atMs < windowMs)
      return { stream: stream.name, seq: before.sequence, duplicate: true };
    const expected = headers[SERVER_HEADERS.expectedLastSubjectSequence];
    const of = headers[SERVER_HEADERS.expectedLastSubjectSequenceSubject] ?? subject;
    if (expected !== undefined && Number(expected) !== stream.lastOf(of))
      return {
        error: {
          code: 400,
          err_code: 10071,
          description: `wrong last sequence: ${stream.lastOf(of)}`,
        },
      };
    if (stream.isFull)
      return { error: { code: 400, err_code: 10077, description: 'maximum bytes exceeded' } };
    const timeMs = Math.floor(EPOCH_MS + nowMs);
    const stored = stream.store({ subject, data, headers, by, timeMs });
    if (id !== undefined)
      this.#ids.set(`${stream.name} ${id}`, { sequence: stored.sequence, atMs: nowMs });
    this.#hooks.onStored(stored);
    for (const mailbox of this.mailboxes.values()) mailbox.wake();
    for (const each of this.#watchers) each();
    return { stream: stream.name, seq: stored.sequence };
  }

  #lastMessage(stream: string, subject: string): RequestOutcome {
    const of = this.stream(stream);
    const found = of.messages[of.lastOf(subject) - 1] ?? null;
    if (found === null) return reply({}, headersOf({}, 404));
    const { headers, sequence, timeMs } = found;
    const known = {
      ...headers,
      'Nats-Subject': subject,
      'Nats-Sequence': String(sequence),
      'Nats-Time-Stamp': new Date(timeMs).toISOString(),
    };
    return { kind: 'reply', message: { data: found.data, headers: headersOf(known, 0) } as never };
  }

  #remove(stream: SimStream, data: Uint8Array): RequestOutcome {
    const body = JSON.parse(Buffer.from(data).toString()) as { filter?: string; seq?: number };
    if (body.filter !== undefined)
      return reply({ success: true, purged: stream.purge(body.filter, body.seq) });
    return reply({ success: stream.remove(body.seq ?? 0) });
  }
}

function reply(body: unknown, headers?: unknown): RequestOutcome {
  const data = Buffer.from(JSON.stringify(body));
  return { kind: 'reply', message: { data, headers } as never };
}

function headersOf(known: Readonly<Record<string, string>>, code: number): unknown {
  return {
    code,
    description: '',
    get: (name: string) => known[name] ?? '',
    has: (name: string) => name in known,
  };
}

function matcher(filter: string): (subject: string) => boolean {
  const pattern = filter
    .split('.')
    .map((part) =>
      part === '*' ? '[^.]+' : part === '>' ? '.+' : part.replaceAll(/[^\w-]/g, '\\$&'),
    )
    .join('\\.');
  const exact = new RegExp(`^${pattern}$`);
  return (subject) => exact.test(subject);
}
