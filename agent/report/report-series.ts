/**
 * The samples of an attempt's metrics on their way to BM_METRICS. They are numbered by their place in
 * the report; those an earlier agent process has stored are passed over.
 *
 *   add --> waiting (oldest dropped, counted) --500, or after 1 s--> one batch in the outbox --> stored
 *
 * Bounded whatever a benchmark writes (I12): so much waits, and one batch of the attempt at a time is in
 * the outbox, which it shares with the telemetry of all attempts.
 */
import { encode, type Writer } from '#protocol/messages/envelope.ts';
import type { ReportedSample } from '#protocol/messages/attempt/report.ts';
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import type { MetricBatch } from '../telemetry/metric-outbox.ts';
import type { ReportJournal } from './report-journal.ts';

export const BATCH_MOST = 500;
export const WAITING_MOST = 10_000;
const BATCH_MS = 1_000;

export interface ReportSeriesOptions {
  readonly subject: string;
  readonly writer: Writer;
  readonly offer: (batch: MetricBatch) => void;
  readonly journal: ReportJournal;
  readonly clock: Clock;
}

export class ReportSeries {
  readonly #options: ReportSeriesOptions;
  #waiting: ReportedSample[] = [];
  /** Number of the first that waits, and of the next that comes. */
  #first = 0;
  #next = 0;
  #dropped: number;
  #timer: Timer | null = null;
  #isSending = false;
  #isOver = false;

  constructor(options: ReportSeriesOptions) {
    this.#options = options;
    this.#dropped = options.journal.series.dropped;
  }

  /** Of the whole attempt so far. */
  get dropped(): number {
    return this.#dropped;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  add(sample: ReportedSample): void {
    const number = this.#next;
    this.#next += 1;
    if (number < this.#options.journal.series.next) {
      this.#first = this.#next;
      return;
    }
    this.#waiting.push(sample);
    if (this.#waiting.length > WAITING_MOST) {
      this.#waiting = this.#waiting.slice(BATCH_MOST);
      this.#first += BATCH_MOST;
      this.#dropped += BATCH_MOST;
    }
    if (this.#waiting.length >= BATCH_MOST) this.flush();
    else if (!this.#isSending) this.#soon();
  }

  /** Sends what waits, as far as nothing is on its way. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#isSending || this.#waiting.length === 0) return;
    const samples = this.#waiting.slice(0, BATCH_MOST);
    this.#waiting = this.#waiting.slice(BATCH_MOST);
    const first = this.#first;
    this.#first += samples.length;
    this.#isSending = true;
    const { subject, writer, clock, offer } = this.#options;
    const id = `${subject}.r${writer.incarnation ?? 0}.${first}`.slice(-128);
    const timeMs = clock.now().wallMs;
    offer({
      subject,
      id,
      samples: samples.length,
      encode: () => {
        const data = { first, dropped: this.#dropped, samples };
        return encode({ name: 'attempt.reported', data, id, timeMs, writer });
      },
      onStored: () => {
        this.#onSettled(first + samples.length);
      },
      onDropped: (count) => {
        this.#dropped += count;
        this.#onSettled(first + samples.length);
      },
    });
  }

  /** No step runs any more: what waits is still sent, nothing is kept for a later process. */
  end(): void {
    this.#isOver = true;
    this.flush();
  }

  close(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #onSettled(next: number): void {
    this.#isSending = false;
    if (!this.#isOver) this.#options.journal.storedTo(next, this.#dropped);
    if (this.#waiting.length >= BATCH_MOST || this.#isOver) this.flush();
    else if (this.#waiting.length > 0) this.#soon();
  }

  #soon(): void {
    this.#timer ??= this.#options.clock.after(BATCH_MS, () => {
      this.#timer = null;
      this.flush();
    });
  }
}
