/**
 * The agent's own journal: commands before they are acknowledged, states of attempts with their
 * events before the outbox has them (I8). ledger-entries.ts says what a line means.
 *
 * A line cannot be lost to a full disk: it waits in memory, in order, and `isBlocked` then keeps
 * new work away until it could be written.
 */
import type { MeshError } from '#protocol/messages/errors.ts';
import { JournalFile } from './journal-file.ts';
import {
  EMPTY_SUMMARY,
  LedgerFold,
  type LedgerEntry,
  type NumberedEvent,
} from './ledger-entries.ts';

const ROTATE_BYTES = 16 * 1024 * 1024;

export interface OpenedLedger {
  readonly ledger: Ledger;
  /** Events of the newest generation, in order: the outbox may lack the last of them. */
  readonly events: readonly NumberedEvent[];
}

export class Ledger {
  readonly fold: LedgerFold;
  readonly #journal: JournalFile;
  /** Events the outbox has not yet confirmed to have in its own journal. */
  readonly #unconfirmed = new Set<NumberedEvent>();
  #rotateAt = ROTATE_BYTES;

  private constructor(journal: JournalFile, fold: LedgerFold) {
    this.#journal = journal;
    this.fold = fold;
  }

  /** Opens the ledger in `dir` and reads it whole. Throws system errors. */
  static open(dir: string, onBroken?: (error: MeshError) => void): OpenedLedger {
    const place = { dir, name: 'ledger', ...(onBroken === undefined ? {} : { onBroken }) };
    const summary = { t: 'summary', ledger: EMPTY_SUMMARY, ev: [] };
    const { journal, lines } = JournalFile.open(place, summary);
    const fold = new LedgerFold();
    let events: NumberedEvent[] = [];
    for (const line of lines) {
      const entry = line as LedgerEntry; // this program wrote it, under the folder's lock
      fold.apply(entry);
      if ('ev' in entry) events.push(...entry.ev);
      if (entry.t === 'dropped') events = events.filter((event) => event.run !== entry.run);
    }
    // The outbox may have dropped the run already: its numbers would begin anew.
    events = events.filter((event) => !fold.releasing.has(event.run));
    return { ledger: new Ledger(journal, fold), events };
  }

  /** Writes a command down. False when the disk is full: it is not known then, do not acknowledge it. */
  writeCommand(entry: Extract<LedgerEntry, { id: string }>): boolean {
    if (!this.#journal.append(entry)) {
      this.#journal.withdraw();
      return false;
    }
    this.fold.apply(entry);
    return true;
  }

  /** Writes what happened, by the end of this turn. On a full disk it waits in memory. */
  write(entry: LedgerEntry): void {
    this.fold.apply(entry);
    this.#journal.appendSoon(entry);
    if ('ev' in entry) for (const event of entry.ev) this.#unconfirmed.add(event);
    if (this.#journal.bytes > this.#rotateAt) this.#rotate();
  }

  /** The outbox has the event on its disk. */
  confirm(event: NumberedEvent): void {
    this.#unconfirmed.delete(event);
  }

  /**
   * Writes now what would be written by the end of this turn: before a process may begin. Throws ENOSPC
   * when the disk is full and not all of it is written.
   */
  flush(): void {
    if (this.#journal.flush()) return;
    throw Object.assign(new Error('the ledger waits for room on the disk'), { code: 'ENOSPC' });
  }

  #rotate(): void {
    this.#journal.flush();
    const ev = [...this.#unconfirmed];
    const isDone = this.#journal.rotate({ t: 'summary', ledger: this.fold.summary(), ev });
    this.#rotateAt = this.#journal.bytes + (isDone ? ROTATE_BYTES : ROTATE_BYTES / 4);
  }

  /** Whether the disk refuses even with the reserve given up; tries again what waits. */
  isBlocked(): boolean {
    const isWritten = this.#journal.flush();
    return !(isWritten && this.#journal.reserve());
  }

  /** Asks the disk to keep what was written so far; does not wait. */
  sync(): void {
    this.#journal.sync();
  }

  close(): Promise<void> {
    return this.#journal.close();
  }
}
