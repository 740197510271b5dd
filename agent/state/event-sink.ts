/**
 * From the ledger to the outbox: every numbered event once, in order, whatever happens between.
 *
 * 1. An event is in the ledger before it comes here; after a crash it is offered again, and the
 *    number the outbox would give it tells whether it has it already (I4, I8).
 * 2. While the disk refuses, events wait here in their order (design section 6).
 */
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import { encode, type Writer } from '#protocol/messages/envelope.ts';
import type { Outbox } from '#protocol/nats/outbox/outbox.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { NumberedEvent } from './ledger-entries.ts';

export interface SinkOptions {
  readonly outbox: Outbox;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Log;
  /** The outbox has the event on its disk. */
  readonly onRecorded: (event: NumberedEvent) => void;
}

/** The outbox has this number of the subject already. */
class AlreadyRecorded extends Error {}

const RETRY_MS = 1_000;
/** `bm.v1.evt.agent.<agent>` and `bm.v1.evt.ack.<agent>`: the source says it already. */
const AREA_OWNER = 5;

interface Waiting {
  readonly event: Omit<NumberedEvent, 'seq'> & { readonly seq: number | null };
  readonly timeMs: number;
}

/** Unique for its source, and the same when the event is encoded again after a crash. */
function idOf(subject: string, seq: number): string {
  const owned = subject.split('.').slice(AREA_OWNER);
  return `${owned.join('.')}.${seq}`;
}

export class EventSink {
  readonly #options: SinkOptions;
  #held: Waiting[] = [];
  #isHolding = false;
  #isClosed = false;

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  /** Publishes an event of the ledger. */
  publish(event: NumberedEvent): void {
    this.#offer({ event, timeMs: this.#options.clock.now().wallMs });
  }

  /** Publishes an event that no state depends on. */
  tell<N extends MessageName>(subject: string, name: N, data: MessageData<N>): void {
    const event = { subject, name, data, run: '', seq: null };
    this.#offer({ event, timeMs: this.#options.clock.now().wallMs });
  }

  close(): void {
    this.#isClosed = true;
  }

  #offer(waiting: Waiting): void {
    if (this.#isHolding) this.#held.push(waiting);
    else void this.#append(waiting);
  }

  async #append(waiting: Waiting): Promise<void> {
    const { outbox, log } = this.#options;
    const { event } = waiting;
    try {
      const outcome = await outbox.append(event.subject, (seq) => this.#encode(waiting, seq));
      switch (outcome.kind) {
        case 'recorded':
          this.#recorded(event);
          return;
        case 'no_space':
        case 'failed':
          this.#hold(waiting);
          return;
        case 'too_large':
          log.error(
            { subject: event.subject, name: event.name, outcome },
            'an event is too large, it is lost',
          );
          this.#recorded(event);
          return;
        case 'fenced':
        case 'closed':
          return;
      }
    } catch (error) {
      if (!(error instanceof AlreadyRecorded)) throw error;
      this.#recorded(event);
    }
  }

  #recorded(event: Waiting['event']): void {
    if (event.seq !== null) this.#options.onRecorded(event as NumberedEvent);
  }

  #encode({ event, timeMs }: Waiting, seq: number): Uint8Array {
    if (event.seq !== null && event.seq < seq) throw new AlreadyRecorded();
    const { name, data, subject } = event;
    const { writer } = this.#options;
    return encode({ name, data, id: idOf(subject, seq), timeMs, writer, seq });
  }

  /** The disk is full: this one and all that follow wait, and are tried in order. */
  #hold(waiting: Waiting): void {
    this.#held.push(waiting);
    if (this.#isHolding) return;
    this.#isHolding = true;
    this.#options.log.error(
      {},
      'the disk of the state folder takes no events: they wait in memory',
    );
    this.#options.clock.after(RETRY_MS, () => {
      this.#isHolding = false;
      if (this.#isClosed) return;
      for (const each of this.#held.splice(0)) this.#offer(each);
    });
  }
}
