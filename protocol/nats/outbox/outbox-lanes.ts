/**
 * What the outbox knows, in memory: one lane per subject, in it the messages not yet known stored.
 * No I/O here.
 *
 *   numbers of a subject:   1 ... storedSeq | queue (contiguous) | nextSeq
 */
import type { JournalRecord } from './journal-format.ts';
import type { Place } from './journal.ts';

export interface Entry {
  readonly seq: number;
  /** Where the journal has it; moves when the journal is compacted. */
  place: Place;
  /** Null when memory was short, or after a restart: then it is read from the journal. */
  payload: Uint8Array | null;
  readonly bytes: number;
}

export interface Lane {
  readonly subject: string;
  nextSeq: number;
  /** All up to here are known stored. */
  storedSeq: number;
  /** Stream sequence expected last on the subject; 0 for none known. */
  streamSequence: number;
  readonly queue: Entry[];
  /** Journal bytes of its messages, stored ones too. */
  journalBytes: number;
  /** Newest segment that has its `stored` record; 0 for none. */
  markSegment: number;
  /** In flight, or waiting in line to be. */
  busy: boolean;
  /** Failed tries of the message in front. */
  attempt: number;
}

/** Payload bytes held in memory for messages waiting; beyond it they are read again (I12). */
const MEMORY_BYTES = 8 * 1024 * 1024;

export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  #unstored = 0;
  #unstoredBytes = 0;
  #memoryBytes = 0;
  #journalBytes = 0;

  get(subject: string): Lane | undefined {
    return this.#lanes.get(subject);
  }

  getOrMake(subject: string): Lane {
    const known = this.#lanes.get(subject);
    if (known !== undefined) return known;
    const lane: Lane = {
      subject,
      nextSeq: 1,
      storedSeq: 0,
      streamSequence: 0,
      queue: [],
      journalBytes: 0,
      markSegment: 0,
      busy: false,
      attempt: 0,
    };
    this.#lanes.set(subject, lane);
    return lane;
  }

  all(): IterableIterator<Lane> {
    return this.#lanes.values();
  }

  counts(): { subjects: number; unstored: number; unstoredBytes: number; journalBytes: number } {
    return {
      subjects: this.#lanes.size,
      unstored: this.#unstored,
      unstoredBytes: this.#unstoredBytes,
      journalBytes: this.#journalBytes,
    };
  }

  /** A message is in the journal and is to be published. */
  push(lane: Lane, entry: Entry): void {
    lane.nextSeq = entry.seq + 1;
    this.countJournal(lane, entry.bytes);
    this.#enter(entry);
    lane.queue.push(entry);
  }

  /** Journal bytes that a lane gained or, negative, lost. */
  countJournal(lane: Lane, bytes: number): void {
    lane.journalBytes += bytes;
    this.#journalBytes += bytes;
  }

  /** Everything up to `seq` is stored, the last of it as `streamSequence`. */
  markStored(lane: Lane, seq: number, streamSequence: number): void {
    while (lane.queue[0] !== undefined && lane.queue[0].seq <= seq) this.#leave(lane.queue.shift());
    lane.storedSeq = Math.max(lane.storedSeq, seq);
    lane.nextSeq = Math.max(lane.nextSeq, seq + 1);
    lane.streamSequence = streamSequence;
  }

  /** The server has less than it acknowledged: `entries` are to be published once more. */
  rewind(lane: Lane, seq: number, entries: readonly Entry[]): void {
    for (const entry of entries) this.#enter(entry);
    lane.queue.unshift(...entries);
    lane.storedSeq = seq;
  }

  /** Forgets the lane of `prefix` and those below it; tells how many messages were not stored. */
  drop(prefix: string): number {
    let unstored = 0;
    for (const lane of [...this.#lanes.values()]) {
      if (lane.subject !== prefix && !lane.subject.startsWith(`${prefix}.`)) continue;
      unstored += lane.queue.length;
      for (const entry of lane.queue.splice(0)) this.#leave(entry);
      this.countJournal(lane, -lane.journalBytes);
      this.#lanes.delete(lane.subject);
    }
    return unstored;
  }

  /** The entry waiting under a number. */
  entry(lane: Lane, seq: number): Entry | undefined {
    const first = lane.queue[0];
    if (first === undefined) return undefined;
    const direct = lane.queue[seq - first.seq];
    return direct?.seq === seq ? direct : lane.queue.find((entry) => entry.seq === seq);
  }

  /** Takes in one record while the journal is read at start. */
  recover(record: JournalRecord, place: Place): void {
    switch (record.kind) {
      case 'message':
        this.#recoverMessage(record.subject, record.seq, place);
        break;
      case 'stored': {
        const lane = this.getOrMake(record.subject);
        lane.markSegment = place.segment;
        if (record.seq >= lane.storedSeq) this.markStored(lane, record.seq, record.streamSequence);
        break;
      }
      case 'dropped':
        this.drop(record.prefix);
        break;
    }
  }

  #recoverMessage(subject: string, seq: number, place: Place): void {
    const lane = this.getOrMake(subject);
    lane.nextSeq = Math.max(lane.nextSeq, seq + 1);
    this.countJournal(lane, place.length);
    if (seq <= lane.storedSeq) return;
    const known = this.entry(lane, seq);
    if (known !== undefined) {
      known.place = place; // a copy that compaction made
      this.countJournal(lane, -place.length);
      return;
    }
    const entry: Entry = { seq, place, payload: null, bytes: place.length };
    this.#enter(entry);
    const after = lane.queue.findLastIndex((other) => other.seq < seq) + 1;
    lane.queue.splice(after, 0, entry);
  }

  #enter(entry: Entry): void {
    this.#unstored += 1;
    this.#unstoredBytes += entry.bytes;
    if (entry.payload === null) return;
    if (this.#memoryBytes + entry.bytes > MEMORY_BYTES) entry.payload = null;
    else this.#memoryBytes += entry.bytes;
  }

  #leave(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.#unstored -= 1;
    this.#unstoredBytes -= entry.bytes;
    if (entry.payload !== null) this.#memoryBytes -= entry.bytes;
  }
}
