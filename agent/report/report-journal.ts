/**
 * What an agent that is started again must know of a report beside its text, in a file next to it:
 *
 *   a 1042 5012.5 1767225600500     read up to byte 1042 at 5012.5 ms of the attempt, and the wall clock
 *   s 500 0                         the series is stored up to sample 500, 0 of them dropped
 *
 * So a line has the same time whenever it is read, to half a second, and no sample is sent twice. It
 * grows with the logarithm of the time. Losing it costs exact times and repeated samples (which readers
 * tell by their number), never a result: a disk that refuses it is said once.
 */
import { toError } from '#protocol/messages/errors.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { appendPlain, readPlainFile } from '../process/plain-file.ts';
import type { ReadAt } from './report-fold.ts';

const EVERY_MS = 500;
/** Of the time so far: later entries are further apart. */
const SHARE = 1 / 10_000;
/** Far more than it ever has. */
const READ_MOST = 64 * 1024 * 1024;

interface Arrival extends ReadAt {
  readonly offset: number;
}

export class ReportJournal {
  readonly #file: string;
  readonly #log: Log;
  readonly #known: Arrival[] = [];
  #next = 0;
  #lastMs = -Infinity;
  #offset = 0;
  #hasFailed = false;
  /** Of an earlier process. */
  readonly series = { next: 0, dropped: 0 };

  constructor(
    file: string,
    { isResumed, log }: { readonly isResumed: boolean; readonly log: Log },
  ) {
    this.#file = file;
    this.#log = log;
    if (isResumed) this.#load();
  }

  /** When the line that ends at `end` was read: what an earlier process says, else `now`. */
  timeOf(end: number, now: ReadAt): ReadAt {
    for (
      let known = this.#known[this.#next];
      known !== undefined;
      known = this.#known[this.#next]
    ) {
      if (end <= known.offset) return known;
      this.#next += 1;
    }
    return now;
  }

  /** Everything up to `offset` was read by now. */
  readTo(offset: number, { elapsedMs, wallMs }: ReadAt): void {
    if (offset <= this.#offset || elapsedMs - this.#lastMs < Math.max(EVERY_MS, elapsedMs * SHARE))
      return;
    this.#offset = offset;
    this.#lastMs = elapsedMs;
    this.#append(`a ${offset} ${elapsedMs} ${wallMs}\n`);
  }

  storedTo(next: number, dropped: number): void {
    this.#append(`s ${next} ${dropped}\n`);
  }

  #append(line: string): void {
    if (this.#hasFailed) return;
    try {
      appendPlain(this.#file, line);
    } catch (error) {
      this.#hasFailed = true;
      this.#log.warn({ err: toError(error) }, 'the place in the report cannot be kept');
    }
  }

  #load(): void {
    let text: string;
    try {
      text = readPlainFile(this.#file, READ_MOST)?.toString('latin1') ?? '';
    } catch (error) {
      this.#log.warn({ err: toError(error) }, 'the place in the report cannot be read');
      return;
    }
    // The last line may be torn, and is then no entry; what is appended begins a new one.
    if (text !== '' && !text.endsWith('\n')) this.#append('\n');
    for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) this.#entry(line);
  }

  #entry(line: string): void {
    const [kind, ...fields] = line.split(' ');
    const [first = Number.NaN, second = Number.NaN, third = Number.NaN] = fields.map(Number);
    if (kind === 'a' && Number.isFinite(first + second + third) && first > this.#offset) {
      this.#known.push({ offset: first, elapsedMs: second, wallMs: third });
      this.#offset = first;
      this.#lastMs = second;
    }
    if (kind === 's' && Number.isSafeInteger(first) && Number.isSafeInteger(second))
      Object.assign(this.series, { next: first, dropped: second });
  }
}
