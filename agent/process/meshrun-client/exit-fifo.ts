/**
 * Listens to a step's `exit` FIFO: wake-ups of meshrun, and its end as EOF (channel.h).
 *
 * A FIFO that is opened after its writer died never becomes readable, so the first read is
 * done by hand: it says at once whether somebody holds the other end.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

export interface ExitFifoEvents {
  /** `started` is in the record. */
  onStarted(): void;
  /** There is another new line in the record. */
  onRecord(): void;
  /** There is new output. */
  onOutput(): void;
  /** A record line that could not be written to disk. */
  onLostLine(line: string): void;
  /** meshrun is gone. At most once, and nothing after it. */
  onGone(): void;
}

/** What meshrun and the agent talk by, in the step's folder (channel.h). */
export const FIFOS = ['ctl', 'exit'] as const;

const FIRST_READ_BYTES = 1024;

export class ExitFifo {
  readonly #events: ExitFifoEvents;
  #socket: Socket | null = null;
  #closed = false;
  /** A lost line of which the end has not come yet, from its '!'. */
  #lostLine: string | null = null;

  private constructor(events: ExitFifoEvents) {
    this.#events = events;
  }

  /** Null if meshrun is gone. Events come later, never from within. */
  static open(stepDir: string, events: ExitFifoEvents): ExitFifo | null {
    let fd: number;
    try {
      fd = openSync(join(stepDir, 'exit'), constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    const first = readFirst(fd);
    if (first === null) {
      closeSync(fd);
      return null;
    }
    const fifo = new ExitFifo(events);
    fifo.#listen(fd, first);
    return fifo;
  }

  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
  }

  #listen(fd: number, first: string): void {
    const socket = new Socket({ fd, readable: true, writable: false });
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#onText(text);
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      if (!this.#closed) {
        this.#closed = true;
        this.#events.onGone();
      }
    });
    if (first !== '')
      setImmediate(() => {
        this.#onText(first);
      });
  }

  #onText(text: string): void {
    let record = false;
    let output = false;
    let started = false;
    for (const char of text) {
      if (this.#lostLine !== null) {
        if (char === '\n') {
          this.#events.onLostLine(this.#lostLine);
          this.#lostLine = null;
          record = true;
        } else this.#lostLine += char;
      } else if (char === 'r') record = true;
      else if (char === 's') started = true;
      else if (char === 'o') output = true;
      else if (char === '!') this.#lostLine = '';
    }
    if (started && !this.#closed) this.#events.onStarted();
    if (output && !this.#closed) this.#events.onOutput();
    if (record && !this.#closed) this.#events.onRecord();
  }
}

/** What lies in the FIFO; null if nobody has its other end. */
function readFirst(fd: number): string | null {
  const bytes = Buffer.allocUnsafe(FIRST_READ_BYTES);
  try {
    const size = readSync(fd, bytes, 0, bytes.length, null);
    return size === 0 ? null : bytes.toString('latin1', 0, size);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
    throw error;
  }
}
