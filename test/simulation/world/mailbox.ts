/**
 * A durable consumer with one message in flight, as an agent's mailbox is: what is not acknowledged in
 * time is delivered again, and a crash of the server takes back the last acknowledgements.
 */
import type { Delivery } from '#protocol/nats/agents/mailbox.ts';
import type { SimStream, Stored } from './server.ts';
import type { Cancel, World } from './world.ts';

const ACK_WAIT_MS = 3_000;
const TAKEN_BACK_MOST = 4;

export interface Reader {
  /** Sends over the reader's connection; what is lost on the way comes again. */
  readonly deliver: (delivery: Delivery) => void;
  /** An answer on its way to the server. */
  readonly answer: (arrive: () => void) => void;
  /** The link is up and the process reads. */
  readonly isReady: () => boolean;
}

export class SimMailbox {
  readonly #world: World;
  readonly #stream: SimStream;
  readonly #wanted: readonly string[];
  #floor = 0;
  #pending: { readonly message: Stored; timer: Cancel; tries: number } | null = null;
  #reader: Reader | null = null;

  constructor(world: World, stream: SimStream, wanted: readonly string[]) {
    this.#world = world;
    this.#stream = stream;
    this.#wanted = wanted;
  }

  /** Everything up to here is acknowledged. */
  get floor(): number {
    return this.#floor;
  }

  /** Nothing is left, nor on its way. */
  get isRead(): boolean {
    return this.#pending === null && this.#next() === null;
  }

  attach(reader: Reader): void {
    this.#reader = reader;
    this.wake();
  }

  wake(): void {
    if (this.#pending !== null || this.#reader?.isReady() !== true) return;
    const message = this.#next();
    if (message !== null) this.#send(message, 0);
  }

  onCrash(): void {
    this.#pending?.timer.cancel();
    this.#pending = null;
    const back = Math.floor(this.#world.random() * TAKEN_BACK_MOST);
    this.#floor = Math.max(0, this.#floor - back);
  }

  #next(): Stored | null {
    for (let at = this.#floor; at < this.#stream.lastSequence; at += 1) {
      const message = this.#stream.messages[at] ?? null;
      if (message !== null && this.#isWanted(message.subject)) return message;
      this.#floor = at + 1;
    }
    return null;
  }

  #isWanted(subject: string): boolean {
    return this.#wanted.some((one) => subject.startsWith(one));
  }

  #send(message: Stored, tries: number): void {
    const timer = this.#world.after(
      ACK_WAIT_MS,
      () => {
        this.#again();
      },
      null,
    );
    this.#pending = { message, timer, tries };
    this.#reader?.deliver(this.#deliveryOf(message, tries > 0));
  }

  #again(): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    const isThere = this.#stream.messages[pending.message.sequence - 1] !== null;
    if (isThere && this.#reader?.isReady() === true) this.#send(pending.message, pending.tries + 1);
    else this.wake();
  }

  #deliveryOf(message: Stored, redelivered: boolean): Delivery {
    const { subject, sequence, timeMs, data } = message;
    const done = (): void =>
      this.#reader?.answer(() => {
        this.#onAck(sequence);
      });
    const nak = (afterMs: number): void =>
      this.#reader?.answer(() => {
        this.#onNak(sequence, afterMs);
      });
    return { subject, sequence, timeMs, data, redelivered, ack: done, term: done, nak };
  }

  #onAck(sequence: number): void {
    if (this.#pending?.message.sequence !== sequence) return;
    this.#pending.timer.cancel();
    this.#pending = null;
    this.#floor = Math.max(this.#floor, sequence);
    this.wake();
  }

  #onNak(sequence: number, afterMs: number): void {
    if (this.#pending?.message.sequence !== sequence) return;
    this.#pending.timer.cancel();
    this.#pending.timer = this.#world.after(
      afterMs,
      () => {
        this.#again();
      },
      null,
    );
  }
}
