/**
 * Waits until a service is ready, for a time: asks for it again and again, or reads its output for a
 * line. Tells once; a restarted agent begins anew, and reads the output from what is left of it.
 */
import { StringDecoder } from 'node:string_decoder';
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { CheckSpec } from '#protocol/messages/attempt/check-spec.ts';
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import { runCheck } from '../checks/run-check.ts';
import type { CheckContext } from '../checks/types.ts';
import { LogSegments } from '../process/spool/log-segments.ts';

const ASK_EVERY_MS = 200;
/** A server that takes a connection and says nothing is asked again. */
const ASK_LIMIT_MS = 5_000;
const READ_BYTES = 256 * 1024;

export interface ReadyWatchOptions {
  readonly service: NonNullable<StepSpec['service']>;
  readonly stepDir: string;
  readonly context: Omit<CheckContext, 'timeoutMs' | 'signal'>;
  readonly clock: Clock;
  readonly onReady: (afterMs: number) => void;
  readonly onUnready: (reason: string) => void;
  readonly onBug: (error: unknown) => void;
}

export class ReadyWatch {
  readonly #options: ReadyWatchOptions;
  readonly #abort = new AbortController();
  readonly #startedMs: number;
  readonly #limit: Timer;
  #timer: Timer | null = null;
  #reader: LineReader | null = null;
  #last: string;

  constructor(options: ReadyWatchOptions) {
    this.#options = options;
    const { service, clock, stepDir } = options;
    const { ready, readyMs } = service;
    this.#startedMs = clock.now().monotonicMs;
    this.#last = 'it has not answered';
    this.#limit = clock.after(readyMs, () => {
      this.close();
      options.onUnready(this.#last);
    });
    if (ready.kind === 'line') {
      this.#last = `no line with "${ready.text}" in its output`;
      this.#reader = new LineReader(stepDir, ready.text);
      this.onOutput();
    } else {
      const check: CheckSpec = ready.kind === 'port' ? { ...ready, free: false } : ready;
      void this.#ask(check).catch(options.onBug);
    }
  }

  /** There may be new output. Before it is given back: shipping it takes longer than this. */
  onOutput(): void {
    if (this.#reader?.finds() === true) this.#tell();
  }

  close(): void {
    this.#abort.abort();
    this.#limit.cancel();
    this.#timer?.cancel();
    this.#reader?.close();
    this.#reader = null;
  }

  async #ask(check: CheckSpec): Promise<void> {
    const { context, clock, onBug } = this.#options;
    const { signal } = this.#abort;
    const result = await runCheck(check, { ...context, timeoutMs: ASK_LIMIT_MS, signal });
    if (signal.aborted) return;
    if (result.ok) {
      this.#tell();
      return;
    }
    this.#last = result.reason;
    this.#timer = clock.after(ASK_EVERY_MS, () => {
      void this.#ask(check).catch(onBug);
    });
  }

  #tell(): void {
    this.close();
    this.#options.onReady(this.#options.clock.now().monotonicMs - this.#startedMs);
  }
}

/** Looks for a text in the lines of a step's output, each stream by itself. */
class LineReader {
  readonly #segments: LogSegments;
  readonly #text: string;
  readonly #open = { stdout: '', stderr: '' };
  readonly #decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  #offset = 0;

  constructor(stepDir: string, text: string) {
    this.#segments = new LogSegments(stepDir);
    this.#text = text;
  }

  finds(): boolean {
    for (;;) {
      const { chunks, nextOffset } = this.#segments.readFrom(this.#offset, READ_BYTES);
      for (const { stream, bytes } of chunks) {
        const text = this.#open[stream] + this.#decoders[stream].write(Buffer.from(bytes));
        if (text.split('\n').some((line) => line.includes(this.#text))) return true;
        // What may be the begin of it; a line without an end is not kept whole (I12).
        this.#open[stream] = (text.split('\n').at(-1) ?? '').slice(-this.#text.length);
      }
      if (nextOffset === this.#offset) return false;
      this.#offset = nextOffset;
    }
  }

  close(): void {
    this.#segments.close();
  }
}
