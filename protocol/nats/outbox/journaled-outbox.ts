/**
 * The outbox at work: one pump that numbers, encodes and writes what a tick brought, marks what is
 * stored, and hands the lanes to the sender. See outbox.ts for what it promises.
 */
import { encodeRecord, readRecord } from './journal-format.ts';
import type { Journal, WriteOutcome } from './journal.ts';
import { Compaction } from './outbox-compaction.ts';
import type { Entry, Lane, Lanes } from './outbox-lanes.ts';
import { Sender } from './outbox-sender.ts';
import type { AppendOutcome, Outbox, OutboxOptions, OutboxStats } from './outbox.ts';

interface Append {
  readonly subject: string;
  readonly encode: (seq: number) => Uint8Array;
  readonly resolve: (outcome: AppendOutcome) => void;
  readonly reject: (error: unknown) => void;
}

interface Drop {
  readonly prefixes: readonly string[];
  readonly resolve: (outcome: WriteOutcome) => void;
}

interface Encoded {
  readonly job: Append;
  readonly lane: Lane;
  readonly seq: number;
  readonly payload: Uint8Array;
  readonly record: Uint8Array;
}

const BATCH_BYTES = 1024 ** 2;
const MARK_DELAY_MS = 250;

export class JournaledOutbox implements Outbox {
  readonly #options: Required<OutboxOptions>;
  readonly #lanes: Lanes;
  readonly #journal: Journal;
  readonly #sender: Sender;
  readonly #compaction: Compaction;
  #appends: Append[] = [];
  #drops: Drop[] = [];
  /** Lanes whose stored number is newer than the journal knows. */
  readonly #unmarked = new Set<Lane>();
  #marksDue = false;
  #markTimer: NodeJS.Timeout | undefined;
  #pumping: Promise<void> | null = null;
  #flushes: ((outcome: 'stored' | 'fenced' | 'closed') => void)[] = [];
  #ended: 'fenced' | 'closed' | null = null;

  constructor(options: Required<OutboxOptions>, lanes: Lanes, journal: Journal) {
    this.#options = options;
    this.#lanes = lanes;
    this.#journal = journal;
    this.#compaction = new Compaction({
      journal,
      lanes,
      maxBytes: options.maxBytes,
      segmentBytes: options.segmentBytes,
      mark: (marked) => this.#mark(marked),
      log: options.log,
    });
    this.#sender = new Sender({
      lanes,
      store: options.store,
      instance: options.instance,
      log: options.log,
      read: (lane, entry) => this.#read(lane, entry),
      find: (lane, after, upTo) => this.#find(lane, after, upTo),
      onStored: (lane) => {
        this.#onStored(lane);
      },
      onFenced: (by) => {
        this.#end('fenced');
        options.onFenced(by);
      },
    });
    for (const lane of lanes.all()) this.#sender.wake(lane);
  }

  append(subject: string, encode: (seq: number) => Uint8Array): Promise<AppendOutcome> {
    if (this.#ended !== null) return Promise.resolve({ kind: this.#ended });
    return new Promise((resolve, reject) => {
      this.#appends.push({ subject, encode, resolve, reject });
      this.#kick();
    });
  }

  flush(): Promise<'stored' | 'fenced' | 'closed'> {
    if (this.#ended !== null) return Promise.resolve(this.#ended);
    return new Promise((resolve) => {
      this.#flushes.push(resolve);
      this.#settleFlushes();
    });
  }

  stats(): OutboxStats {
    const { subjects, unstored, unstoredBytes } = this.#lanes.counts();
    return {
      subjects,
      unstored,
      unstoredBytes,
      journalBytes: this.#journal.bytes(),
      maxBytes: this.#options.maxBytes,
      blocked: this.#sender.blocked(),
      fenced: this.#ended === 'fenced',
    };
  }

  drop(prefixes: readonly string[]): Promise<WriteOutcome> {
    if (this.#ended === 'closed') {
      return Promise.resolve({ kind: 'failed', error: new Error('the outbox is closed') });
    }
    return new Promise((resolve) => {
      this.#drops.push({ prefixes, resolve });
      this.#kick();
    });
  }

  async close(): Promise<void> {
    this.#end('closed');
    await this.#pumping;
    if (this.#unmarked.size > 0) this.#writeMarks();
    await this.#journal.close();
  }

  #end(how: 'fenced' | 'closed'): void {
    if (this.#ended === 'closed') return;
    this.#ended = how;
    this.#sender.stop();
    clearTimeout(this.#markTimer);
    for (const job of this.#appends.splice(0)) job.resolve({ kind: how });
    this.#settleFlushes();
  }

  #onStored(lane: Lane): void {
    this.#compaction.onFreed();
    this.#unmarked.add(lane);
    this.#markTimer ??= setTimeout(() => {
      this.#markTimer = undefined;
      this.#marksDue = true;
      this.#kick();
    }, MARK_DELAY_MS);
    if (this.#flushes.length > 0) this.#settleFlushes();
  }

  #settleFlushes(): void {
    const idle =
      this.#appends.length === 0 && this.#pumping === null && this.#lanes.counts().unstored === 0;
    if (this.#ended === null && !idle) return;
    for (const resolve of this.#flushes.splice(0)) resolve(this.#ended ?? 'stored');
  }

  /** One pump at a time; it starts in the next tick, so that a tick's appends are one write. */
  #kick(): void {
    this.#pumping ??= new Promise<void>((resolve) => {
      setImmediate(() => {
        void this.#pump().then(resolve);
      });
    }).then(() => {
      this.#pumping = null;
      if (this.#hasWork()) this.#kick();
      else this.#settleFlushes();
    });
  }

  #hasWork(): boolean {
    return this.#appends.length > 0 || this.#drops.length > 0 || this.#marksDue;
  }

  async #pump(): Promise<void> {
    while (this.#hasWork()) {
      if (this.#appends.length > 0) await this.#writeBatch();
      // After what was appended before them: that would begin its subject anew.
      if (this.#drops.length > 0) this.#writeDrops();
      if (this.#marksDue) {
        this.#marksDue = false;
        this.#writeMarks();
      }
      await this.#compaction.run();
    }
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#takeBatch();
    if (batch.length === 0) return;
    const outcome = await this.#write(Buffer.concat(batch.map(({ record }) => record)));
    if (outcome.kind !== 'written') {
      for (const { job } of batch) job.resolve(outcome);
      // None overtakes another: a later one that fits would be given the number of an earlier.
      for (const job of this.#appends.splice(0)) job.resolve(outcome);
      return;
    }
    let { offset } = outcome;
    const touched = new Set<Lane>();
    for (const { lane, seq, payload, record } of batch) {
      const { length } = record;
      this.#lanes.push(lane, {
        seq,
        place: { segment: outcome.segment, offset, length },
        payload,
        bytes: length,
      });
      offset += length;
      touched.add(lane);
    }
    for (const { job, seq } of batch) job.resolve({ kind: 'recorded', seq });
    for (const lane of touched) this.#sender.wake(lane);
  }

  /** Numbers and encodes what waits, up to a batch. */
  #takeBatch(): Encoded[] {
    const batch: Encoded[] = [];
    const next = new Map<string, number>();
    const maxBytes = this.#options.store.maxPayloadBytes();
    let bytes = 0;
    let taken = 0;
    for (const job of this.#appends) {
      if (bytes >= BATCH_BYTES) break;
      taken += 1;
      const lane = this.#lanes.getOrMake(job.subject);
      const seq = next.get(job.subject) ?? lane.nextSeq;
      let payload: Uint8Array;
      try {
        payload = job.encode(seq);
      } catch (error) {
        job.reject(error);
        continue;
      }
      if (payload.length > maxBytes) {
        job.resolve({ kind: 'too_large', bytes: payload.length, maxBytes });
        continue;
      }
      const record = encodeRecord({ kind: 'message', subject: job.subject, seq, payload });
      next.set(job.subject, seq + 1);
      bytes += record.length;
      batch.push({ job, lane, seq, payload, record });
    }
    this.#appends.splice(0, taken);
    return batch;
  }

  async #write(bytes: Uint8Array): Promise<WriteOutcome> {
    if (this.#journal.bytes() + bytes.length > this.#options.maxBytes) {
      await this.#compaction.run(bytes.length);
      if (this.#journal.bytes() + bytes.length > this.#options.maxBytes) {
        return { kind: 'no_space', errno: 'limit' };
      }
    }
    return this.#journal.append(bytes);
  }

  #writeMarks(): void {
    const lanes = [...this.#unmarked].filter((lane) => this.#lanes.get(lane.subject) === lane);
    this.#unmarked.clear();
    if (lanes.length > 0 && !this.#mark(lanes)) for (const lane of lanes) this.#unmarked.add(lane);
  }

  /** Writes how far lanes are stored. Marks may exceed the limit: they are what makes room. */
  #mark(lanes: readonly Lane[]): boolean {
    const records = lanes.map((lane) =>
      encodeRecord({
        kind: 'stored',
        subject: lane.subject,
        seq: lane.storedSeq,
        streamSequence: lane.streamSequence,
      }),
    );
    const outcome = this.#journal.append(Buffer.concat(records));
    if (outcome.kind !== 'written') return false;
    for (const lane of lanes) lane.markSegment = outcome.segment;
    return true;
  }

  #writeDrops(): void {
    const drops = this.#drops.splice(0);
    const prefixes = drops.flatMap((drop) => drop.prefixes);
    const outcome = this.#journal.append(
      Buffer.concat(prefixes.map((prefix) => encodeRecord({ kind: 'dropped', prefix }))),
    );
    if (outcome.kind === 'written') {
      for (const prefix of prefixes) {
        const unstored = this.#lanes.drop(prefix);
        if (unstored > 0)
          this.#options.log.warn({ prefix, unstored }, 'released with messages not stored');
      }
      this.#compaction.onFreed();
    }
    for (const drop of drops) drop.resolve(outcome);
  }

  async #read(lane: Lane, entry: Entry): Promise<Uint8Array> {
    const found = readRecord(await this.#journal.read(entry.place), 0);
    if (
      found?.record.kind !== 'message' ||
      found.record.seq !== entry.seq ||
      found.record.subject !== lane.subject
    ) {
      throw new Error(`journal segment ${entry.place.segment} is damaged at ${entry.place.offset}`);
    }
    return found.record.payload;
  }

  async #find(lane: Lane, after: number, upTo: number): Promise<Entry[]> {
    const found = new Map<number, Entry>();
    for (const segment of this.#journal.segments()) {
      await this.#journal.readSegment(segment, ({ record, offset, length }) => {
        if (record.kind !== 'message' || record.subject !== lane.subject) return;
        if (record.seq <= after || record.seq > upTo) return;
        found.set(record.seq, {
          seq: record.seq,
          place: { segment, offset, length },
          payload: null,
          bytes: length,
        });
      });
    }
    return [...found.values()].sort((a, b) => a.seq - b.seq);
  }
}
