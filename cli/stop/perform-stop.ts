/**
 * A stop by the operator's own hand (I6): published here, with no coordinator asked. Who must
 * acknowledge is read from BM_COMMANDS, who has from BM_EVENTS; the verdict is the pure fold
 * protocol/fold/stop-fold (I5).
 *
 *   follow events -> publish (stored, its sequence) -> starts before it -> ends and acks -> verdict
 */
import type { EventRecord } from '#protocol/fold/record.ts';
import {
  applyStart,
  applyToStop,
  createStopFold,
  isStopOpen,
  stopView,
  type AgentStopView,
  type StopFold,
  type StopVerdict,
  type StopView,
} from '#protocol/fold/stop-fold.ts';
import { decode, encode } from '#protocol/messages/envelope.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { newId } from '#protocol/messages/ids.ts';
import { startsIn } from '#protocol/messages/run/starts.ts';
import { filters, parseSubject, subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { pause } from '#protocol/nats/connection.ts';
import { subscribeHeartbeats } from '#protocol/nats/agents/heartbeat.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { readAll, tail, type Tail } from '#protocol/nats/streams/tail.ts';
import { operator } from '../mesh/home.ts';
import { recordOf } from '../runs/record.ts';

export interface StopRequest {
  readonly run: string;
  readonly task: string | null;
  /** Null keeps the suite's. */
  readonly graceMs: number | null;
  readonly now: boolean;
  readonly reason: string | null;
  /** The target goes on when it is resumed. */
  readonly pause?: true;
  /** With `pause`: at once. */
  readonly requeue?: true;
}

/** Agents beat each 2 s: silent for this long is not reachable now. */
const SILENT_MS = 5_000;
const PUBLISH_MS = 20_000;
/** What there is to read before the stop is stored; a small run is read whole by then. */
const READ_FIRST_MS = 250;
/** Between two looks at a stop that is open. */
const LOOK_MS = 50;

/**
 * Stores the stop, for ever, and resolves with its sequence in BM_COMMANDS. Rejects with
 * `mesh_unreachable`, `not_permitted` or `disk_full`.
 */
export async function publishStop(
  connection: MeshConnection,
  request: StopRequest,
  command: string,
): Promise<number> {
  const by = operator();
  const payload = encode({
    name: 'command.stop',
    data: { ...request, by },
    id: command,
    timeMs: Date.now(),
    writer: { source: `/operators/${by}` },
  });
  const deadline = performance.now() + PUBLISH_MS;
  for (;;) {
    const outcome = await publishEvent(connection, subjects.stop(), payload, {
      ttl: 'never',
      messageId: command,
      timeoutMs: 3_000,
    });
    switch (outcome.kind) {
      case 'stored':
        return outcome.sequence;
      case 'full':
        throw new MeshError('disk_full', `the stop was not stored: ${outcome.reason}`);
      case 'conflict':
      case 'rejected':
        throw new MeshError('not_permitted', `the stop was not stored: ${outcome.reason}`);
      case 'ambiguous':
      case 'unavailable':
        // Repeated identically: a stop that was stored twice is one command.
        if (performance.now() > deadline) {
          throw new MeshError(
            'mesh_unreachable',
            `the stop was not confirmed by ${connection.url}`,
          );
        }
        await pause(200);
    }
  }
}

export interface StopWatch {
  readonly waitMs: number;
  /** After each change that an operator may see. */
  readonly onView?: (view: StopView) => void;
  /** Ends the waiting; the stop stays stored. */
  readonly signal?: AbortSignal;
}

export interface StopResult {
  readonly view: StopView;
  /** Agents the stop waits for that cannot be heard. */
  readonly silent: readonly string[];
}

/** Stores a stop and follows it until its verdict is not `open`, or the time is over. */
export async function performStop(
  connection: MeshConnection,
  request: StopRequest,
  watch: StopWatch,
): Promise<StopResult> {
  return await new Stopping(connection, request, watch).run();
}

class Stopping {
  readonly #connection: MeshConnection;
  readonly #request: StopRequest;
  readonly #watch: StopWatch;
  readonly #command = newId();
  /** Records and starts read so far: the fold is made when the stop has its sequence. */
  readonly #records: EventRecord[] = [];
  readonly #starts: StartRead[] = [];
  readonly #heard = new Set<string>();
  #fold: StopFold | null = null;
  #closedAs: StopVerdict | null = null;
  #told = '';
  #looking: NodeJS.Timeout | undefined;
  #settle: () => void = () => undefined;

  constructor(connection: MeshConnection, request: StopRequest, watch: StopWatch) {
    this.#connection = connection;
    this.#request = request;
    this.#watch = watch;
  }

  async run(): Promise<StopResult> {
    const heartbeats = subscribeHeartbeats(this.#connection, (agent) => this.#heard.add(agent));
    const { follow, caughtUp } = this.#follow();
    try {
      const read = Promise.all([caughtUp, this.#readStarts()]);
      // A large run takes its time to read, its processes go on meanwhile: the stop is not kept waiting.
      await Promise.race([read, pause(READ_FIRST_MS)]);
      const sequence = await publishStop(this.#connection, this.#request, this.#command);
      await read;
      await this.#readStarts(sequence);
      const begun = performance.now();
      await this.#settled(sequence);
      return this.#result(performance.now() - begun);
    } finally {
      clearTimeout(this.#looking);
      heartbeats.stop();
      await follow.close();
    }
  }

  /**
   * Begins before the stop is stored: a short run may be stopped, archived and purged from the log
   * before anybody could begin to read it afterwards.
   */
  #follow(): { readonly follow: Tail; readonly caughtUp: Promise<void> } {
    const { run } = this.#request;
    let onCaughtUp = (): void => undefined;
    const caughtUp = new Promise<void>((resolve) => (onCaughtUp = resolve));
    const follow = tail(this.#connection, {
      stream: STREAMS.events,
      filters: [...filters.runEvents(run), filters.acksOf(this.#command)],
      onMessage: (message) => {
        const record = recordOf(message);
        if (record !== null) this.#onRecord(record);
      },
      onCaughtUp: () => {
        onCaughtUp();
      },
    });
    return { follow, caughtUp };
  }

  #onRecord(record: EventRecord): void {
    const { message } = record;
    if (message.name === 'run.stop_closed' && message.data.command === this.#command) {
      this.#closedAs = message.data.result;
    }
    if (this.#fold === null) this.#records.push(record);
    else applyToStop(this.#fold, record);
    this.#lookSoon();
  }

  /** A view of a thousand agents costs more than a thousand records: while it is open, only so often. */
  #lookSoon(): void {
    if (this.#fold === null) return;
    if (!isStopOpen(this.#fold) || this.#closedAs !== null) this.#look();
    else
      this.#looking ??= setTimeout(() => {
        this.#look();
      }, LOOK_MS);
  }

  async #settled(sequence: number): Promise<void> {
    const { run, task } = this.#request;
    this.#fold = createStopFold({ command: this.#command, run, task, sequence });
    for (const start of this.#starts) applyStart(this.#fold, start);
    for (const record of this.#records) applyToStop(this.#fold, record);
    const { waitMs, signal } = this.#watch;
    await new Promise<void>((resolve) => {
      this.#settle = resolve;
      const timer = setTimeout(resolve, waitMs);
      timer.unref();
      signal?.addEventListener('abort', () => {
        resolve();
      });
      if (signal?.aborted === true) resolve();
      this.#look();
    });
  }

  #look(): void {
    clearTimeout(this.#looking);
    this.#looking = undefined;
    if (this.#fold === null) return;
    const view = this.#view(this.#fold);
    const text = JSON.stringify(view);
    if (text !== this.#told) this.#watch.onView?.(view);
    this.#told = text;
    if (view.verdict !== 'open') this.#settle();
  }

  /** The coordinator's own verdict may know more than could be read here, never less. */
  #view(fold: StopFold): StopView {
    const view = stopView(fold);
    const closed = this.#closedAs;
    if (closed === null) return view;
    return { ...view, verdict: view.verdict === 'open' ? closed : worst(view.verdict, closed) };
  }

  #result(waitedMs: number): StopResult {
    if (this.#fold === null) throw new Error('a stop without a fold');
    const view = this.#view(this.#fold);
    const isSilent = (agent: AgentStopView): boolean =>
      agent.unreachable || (waitedMs >= SILENT_MS && !this.#heard.has(agent.agent));
    const open = view.agents.filter((agent) => agent.open);
    return { view, silent: open.filter(isSilent).map((agent) => agent.agent) };
  }

  /** Every start of the run, up to the stop where it has its sequence already. */
  async #readStarts(upToSequence?: number): Promise<void> {
    const query = {
      stream: STREAMS.commands,
      filters: [filters.startsOf(this.#request.run)],
      ...(upToSequence === undefined ? {} : { upToSequence }),
    };
    await readAll(this.#connection, query, (message) => {
      const subject = parseSubject(message.subject);
      const decoded = decode(message.data);
      if (subject?.kind !== 'command' || decoded.kind !== 'ok') return;
      for (const { spec } of startsIn(decoded.message)) {
        const { run, task, n } = spec;
        this.#starts.push({ agent: subject.agent, run, task, n, sequence: message.sequence });
      }
    });
  }
}

type StartRead = Parameters<typeof applyStart>[1];

const SEVERITY: readonly StopVerdict[] = ['dead', 'unproven', 'unkillable'];

function worst(one: StopVerdict, other: StopVerdict): StopVerdict {
  return SEVERITY.indexOf(one) >= SEVERITY.indexOf(other) ? one : other;
}
