/**
 * Ships the output of one attempt to its log subject: every byte once, at its offset, in order (I7).
 *
 * 1. One log over all steps; steps are queued as sources, each begins where the one before ended.
 *    Where steps run beside each other (`isShared`) they take turns, each in its own order; then
 *    each message says how far every step is.
 * 2. One message in flight, with the expected last sequence of its own subject. On any doubt the
 *    subject's last message says how far the log is; nothing about it is kept on disk.
 * 3. The first bytes after quiet go at once; then 16 to 64 KiB, or what there is every 100 ms, together
 *    with other logs (log-pacer.ts). Idle costs nothing.
 * 4. Delivered segments are given back, except where `keep` says that extraction needs them still.
 *
 *   idle -> reading -> publishing -> reading -> ... -> idle
 *             |  (little and recent: the pacer)        done: all sources ended and stored
 */
import type { Log } from '#protocol/runtime/log.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import { backoffMs } from '#protocol/runtime/backoff.ts';
import { LogSegments } from '../process/spool/log-segments.ts';
import type { Gap } from '../attempt/attempt-state.ts';
import { CHUNKS_MOST, firstBatch, type LogBatch } from './log-batch.ts';
import { PACE_MS, type LogPacer } from './log-pacer.ts';
import type { LogStore } from './log-store.ts';

const READ_BYTES = 64 * 1024;
const ENOUGH_BYTES = 16 * 1024;
/** What it holds is of no use: only whether it was filled. */
const probe = Buffer.allocUnsafe(ENOUGH_BYTES);
const RELEASE_EVERY_BYTES = 256 * 1024;
const RETRY = { firstMs: 50, maxMs: 2_000, factor: 2 } as const;

export interface ShipperOptions {
  readonly subject: string;
  readonly instance: string;
  /** Of a gang. */
  readonly rank?: string | undefined;
  readonly store: LogStore;
  readonly pacer: LogPacer;
  readonly clock: Clock;
  readonly log: Log;
  /** The log may have messages already: ask before the first is sent (after a restart). */
  readonly isResumed: boolean;
  /** Steps run beside each other. */
  readonly isShared?: boolean;
  /** All of a step's output is stored. */
  readonly onDelivered?: (stepDir: string) => void;
  /** How far a step's output may be given back, given how far it is delivered. */
  readonly keep: (stepDir: string, deliveredTo: number) => number;
}

interface Source {
  readonly step: string;
  readonly dir: string;
  readonly baseOffset: number;
  readonly segments: LogSegments;
  /** Size of the step's output; null while it may still grow. */
  bytes: number | null;
  released: number;
}

export class LogShipper {
  readonly #options: ShipperOptions;
  readonly #sources: Source[] = [];
  readonly #gaps: Gap[] = [];
  #isRefused = false;
  #offset = 0;
  #sequence = 0;
  #isSure: boolean;
  #isSteady = true;
  #isPumping = false;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #isWaiting = false;
  /** It has waited: what there is is sent. */
  #isDue = false;
  #isClosed = false;
  #waiters: (() => void)[] = [];
  readonly #known = new Set<string>();
  /** Of a shared log: how far each step's output is in it. */
  readonly #positions = new Map<string, number>();
  #lastSource: Source | null = null;

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#isSure = !options.isResumed;
  }

  /** The next step's output begins at `baseOffset` of the attempt's log. Idempotent. */
  addStep(step: string, dir: string, baseOffset: number): void {
    if (this.#known.has(dir)) return;
    this.#known.add(dir);
    const segments = new LogSegments(dir);
    this.#sources.push({ step, dir, baseOffset, segments, bytes: null, released: 0 });
  }

  /** There may be new bytes. */
  wake(): void {
    if (this.#isClosed || this.#sources.length === 0) return;
    // It was said that there is little: only whether that is still so is looked at.
    if (this.#isWaiting && !this.#sources.some((source) => this.#isUrgent(source))) return;
    // A running pump reads again after each of its waits.
    if (!this.#isPumping) void this.#pump();
  }

  /** The step ended with this much output. */
  endStep(dir: string, bytes: number): void {
    const source = this.#sources.find((each) => each.dir === dir);
    if (source === undefined) return;
    source.bytes = bytes;
    source.segments.finish(bytes);
    this.wake();
  }

  /** Gaps shipped so far, and whether the disk refused output, shipped or still to be. */
  get losses(): { readonly logGaps: readonly Gap[]; readonly isRefused: boolean } {
    const isRefused = this.#isRefused || this.#sources.some(({ segments }) => segments.isRefused());
    return { logGaps: this.#gaps, isRefused };
  }

  /** True when everything of the steps added so far is stored. */
  isDone(): boolean {
    return this.#sources.length === 0;
  }

  /** Resolves when everything of the steps added so far is stored, or it was closed. */
  whenDone(): Promise<void> {
    if (this.isDone() || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** The same, or after `ms`. */
  doneWithin(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(ms, resolve);
      void this.whenDone().then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** Stops shipping; what is not stored stays on disk for the next start. */
  close(): void {
    this.#isClosed = true;
    this.#stopWaiting();
    for (const source of this.#sources) source.segments.close();
    this.#settle();
  }

  #settle(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    this.#stopWaiting();
    try {
      while (!this.#isClosed) {
        if (!this.#isSure && !(await this.#recover())) break;
        const next = this.#next();
        if (next === null) break;
        this.#lastSource = next.source;
        await this.#publish(next.source, next.batch);
      }
    } finally {
      this.#isPumping = false;
    }
    if (this.isDone()) this.#settle();
  }

  /** What has ended goes first; what runs takes turns, so that one that says much hides no other. */
  #next(): { readonly source: Source; readonly batch: LogBatch } | null {
    const last = this.#lastSource === null ? -1 : this.#sources.indexOf(this.#lastSource);
    const inTurn = [...this.#sources.slice(last + 1), ...this.#sources.slice(0, last + 1)];
    const ended = this.#sources.filter(({ bytes }) => bytes !== null);
    for (const source of [...ended, ...inTurn.filter(({ bytes }) => bytes === null)]) {
      // Not read before it is sent: it would be read again then.
      if (this.#isPaced() && !this.#isUrgent(source)) {
        this.#sendSoon();
        continue;
      }
      const batch = this.#read(source);
      if (batch === null) {
        if (source.bytes !== null) this.#leave(source);
      } else if (!this.#shouldWait(source, batch)) return { source, batch };
    }
    return null;
  }

  #isUrgent(source: Source): boolean {
    if (source.bytes !== null) return true;
    return source.segments.isWaiting(this.#position(source), probe) ?? true;
  }

  /** How far the step's own output is in the log. */
  #position({ step, baseOffset }: Source): number {
    if (this.#options.isShared === true) return this.#positions.get(step) ?? 0;
    return Math.max(0, this.#offset - baseOffset);
  }

  #read(source: Source): LogBatch | null {
    const from = this.#position(source);
    if (source.bytes !== null && from >= source.bytes) return null;
    const { instance, rank, isShared = false } = this.#options;
    const read = source.segments.readFrom(from, READ_BYTES, CHUNKS_MOST);
    const { step } = source;
    if (!isShared) return firstBatch(read, { step, baseOffset: source.baseOffset, instance, rank });
    const baseOffset = this.#offset - from;
    return firstBatch(read, { step, baseOffset, instance, rank, positions: this.#positions });
  }

  /** Little, and not the first after quiet: more may come along (3). */
  #shouldWait(source: Source, batch: LogBatch): boolean {
    if (batch.isGap || batch.payload.length >= ENOUGH_BYTES || source.bytes !== null) return false;
    if (!this.#isPaced()) return false;
    this.#sendSoon();
    return true;
  }

  /** The message before was sent just now. */
  #isPaced(): boolean {
    return !this.#isDue && this.#options.clock.now().monotonicMs < this.#lastAtMs + PACE_MS;
  }

  #sendSoon(): void {
    this.#isWaiting = true;
    this.#options.pacer.soon(this.#onPace);
  }

  readonly #onPace = (): void => {
    this.#isWaiting = false;
    this.#isDue = true;
    this.wake();
  };

  #stopWaiting(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#options.pacer.forget(this.#onPace);
  }

  #leave(source: Source): void {
    this.#release(source, true);
    source.segments.close();
    this.#sources.splice(this.#sources.indexOf(source), 1);
    this.#options.onDelivered?.(source.dir);
  }

  async #publish(source: Source, batch: LogBatch): Promise<void> {
    const { store, subject, clock, log } = this.#options;
    for (let attempt = 0; !this.#isClosed; attempt += 1) {
      this.#lastAtMs = clock.now().monotonicMs;
      this.#isDue = false;
      const outcome = await store.publish(subject, batch, this.#sequence);
      if (this.#isGone()) return; // the folder may be gone with its run
      switch (outcome.kind) {
        case 'stored':
          this.#sequence = outcome.sequence;
          this.#advance(source, batch);
          return;
        case 'conflict':
        case 'ambiguous':
          // Stored or not: the subject's last message knows; then it is read again from there.
          this.#isSure = false;
          return;
        case 'full':
        case 'unavailable':
        case 'rejected':
          if (this.#isSteady)
            log.warn({ subject, outcome }, 'the log cannot be stored now, trying on');
          this.#isSteady = false;
          await this.#pause(attempt);
      }
    }
  }

  /** A method, so that the compiler does not believe it constant across an await. */
  #isGone(): boolean {
    return this.#isClosed;
  }

  #advance(source: Source, batch: LogBatch): void {
    this.#isSteady = true;
    const bytes = batch.endOffset - batch.offset;
    this.#positions.set(source.step, this.#position(source) + bytes);
    this.#offset = batch.endOffset;
    this.#isRefused ||= batch.isRefused;
    if (batch.isGap) this.#gaps.push({ from: batch.offset, to: batch.endOffset });
    this.#release(source, false);
  }

  #release(source: Source, isLast: boolean): void {
    const delivered = this.#position(source);
    if (!isLast && delivered - source.released < RELEASE_EVERY_BYTES) return;
    const upTo = this.#options.keep(source.dir, delivered);
    if (upTo <= source.released) return;
    source.released = upTo;
    source.segments.release(upTo);
  }

  /** Asks the subject how far the log is. False when closed meanwhile, or another writes it. */
  async #recover(): Promise<boolean> {
    const { store, subject, instance, log } = this.#options;
    for (let attempt = 0; !this.#isClosed && !store.isClosed(); attempt += 1) {
      await store.whenReachable();
      const last = await store.tail(subject);
      if (last.kind === 'unknown') {
        await this.#pause(attempt);
        continue;
      }
      if (last.kind === 'found' && last.instance !== instance) {
        log.error(
          { subject, owner: last.instance },
          'another state folder writes this log; it is not shipped',
        );
        this.close();
        return false;
      }
      this.#sequence = last.kind === 'found' ? last.sequence : 0;
      if (last.kind === 'found') this.#offset = Math.max(this.#offset, last.endOffset);
      for (const [step, bytes] of (last.kind === 'found' ? last.positions : undefined) ?? [])
        this.#positions.set(step, bytes);
      this.#isSure = true;
      return true;
    }
    return false;
  }

  #pause(attempt: number): Promise<void> {
    const delayMs = backoffMs(RETRY, Math.min(attempt, 10), Math.random());
    return new Promise((resolve) => {
      this.#options.clock.after(delayMs, resolve);
    });
  }
}
