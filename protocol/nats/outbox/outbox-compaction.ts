/**
 * Keeps the journal bounded (I12): copies what is live out of the oldest segment, then removes it.
 *
 * 1. Live is what is not released; at the limit only what is not yet stored.
 * 2. Copies are synced before the original goes. A crash between leaves a copy too many, which
 *    recovery recognises by its number.
 * 3. It runs when at least half of the journal, or at the limit an eighth, would go: so each byte
 *    is copied a bounded number of times.
 */
import { toError } from '../../messages/errors.ts';
import type { Log } from '../../runtime/log.ts';
import type { Journal } from './journal.ts';
import type { Lane, Lanes } from './outbox-lanes.ts';

export interface CompactionOptions {
  readonly journal: Journal;
  readonly lanes: Lanes;
  readonly maxBytes: number;
  readonly segmentBytes: number;
  /** Writes anew how far lanes are stored; false when there was no room. */
  readonly mark: (lanes: readonly Lane[]) => boolean;
  readonly log: Log;
}

interface Copy {
  readonly lane: Lane;
  readonly seq: number;
  readonly bytes: Buffer;
}

export class Compaction {
  readonly #options: CompactionOptions;
  /** A pass found nothing to gain, and nothing has become free since. */
  #idle = false;

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** Something was stored or released. */
  onFreed(): void {
    this.#idle = false;
  }

  /**
   * One pass at most over the segments there are, to tidy up, or to make room for `bytes` more.
   * Never rejects.
   */
  async run(bytes = 0): Promise<void> {
    if (this.#idle && bytes === 0) return;
    const { journal, log } = this.#options;
    try {
      for (let left = journal.segments().length; left > 0; left -= 1) {
        const need = this.#need(bytes);
        if (need === null) return;
        const oldest = journal.oldest();
        if (oldest === null || !(await this.#compact(oldest, need === 'space'))) break;
      }
    } catch (error) {
      log.error({ err: toError(error) }, 'the journal could not be compacted');
    }
    this.#idle = true;
  }

  #need(bytes: number): 'space' | 'tidy' | null {
    const { journal, lanes, maxBytes, segmentBytes } = this.#options;
    const total = journal.bytes();
    const { journalBytes: live, unstoredBytes } = lanes.counts();
    const tight = total + Math.max(segmentBytes, bytes) > maxBytes;
    if (tight && total - unstoredBytes > total / 8) return 'space';
    return total > 2 * live + 2 * segmentBytes ? 'tidy' : null;
  }

  async #compact(segment: number, dropStored: boolean): Promise<boolean> {
    const { journal, lanes, mark } = this.#options;
    const copies: Copy[] = [];
    const given = new Map<Lane, number>();
    await journal.readSegment(segment, ({ record, raw }) => {
      if (record.kind !== 'message') return;
      const lane = lanes.get(record.subject);
      if (lane === undefined) return;
      const { seq } = record;
      if (!dropStored || seq > lane.storedSeq) copies.push({ lane, seq, bytes: raw });
      else given.set(lane, (given.get(lane) ?? 0) + raw.length);
    });
    if (copies.length > 0) {
      const outcome = journal.append(Buffer.concat(copies.map(({ bytes }) => bytes)));
      if (outcome.kind !== 'written') return false;
      this.#move(copies, outcome);
    }
    // Those that give messages up too: their number must not go back.
    const marked = [...lanes.all()].filter(
      (lane) => lane.markSegment === segment || given.has(lane),
    );
    if (marked.length > 0 && !mark(marked)) return false;
    await journal.sync();
    for (const [lane, bytes] of given) {
      if (lanes.get(lane.subject) === lane) lanes.countJournal(lane, -bytes);
    }
    await journal.remove(segment);
    return true;
  }

  #move(copies: readonly Copy[], to: { readonly segment: number; readonly offset: number }): void {
    let { offset } = to;
    for (const { lane, seq, bytes } of copies) {
      const entry = this.#options.lanes.entry(lane, seq);
      if (entry !== undefined) entry.place = { segment: to.segment, offset, length: bytes.length };
      offset += bytes.length;
    }
  }
}
