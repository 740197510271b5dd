/** The ledger of an agent whose host is not real: the same fold, and no disk below it. */
import { LedgerFold, type LedgerEntry } from '#agent/state/ledger-entries.ts';

export class MemoryLedger {
  readonly fold = new LedgerFold();

  writeCommand(entry: Extract<LedgerEntry, { id: string }>): boolean {
    this.fold.apply(entry);
    return true;
  }

  write(entry: LedgerEntry): void {
    this.fold.apply(entry);
  }

  /** There is no disk to ask. */
  sync(): void {
    return;
  }
}
