/** Bugs in starts that are given together. */
import { Ledger } from '#agent/state/ledger.ts';
import type { LedgerEntry } from '#agent/state/ledger-entries.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { isOf, mutation, patch, type Mutation } from './planting.ts';

type CommandEntry = Extract<LedgerEntry, { id: string }>;

export const OF_BATCHES: readonly Mutation[] = [
  mutation('half-batch', 'of several starts the first alone is journalled', () => {
    const write = Reflect.get(Ledger.prototype, 'writeCommand');
    return patch(
      Ledger.prototype,
      'writeCommand',
      function written(this: Ledger, entry: CommandEntry) {
        if (entry.t !== 'starts') return write.call(this, entry);
        const isWritten = write.call(this, { ...entry, starts: entry.starts.slice(0, 1) });
        if (isWritten) this.fold.apply(entry);
        return isWritten;
      },
    );
  }),
  mutation(
    'first-end-removes',
    'several starts are removed when the first of them has ended',
    (mesh) => {
      mesh.taps.onTail = (message) => {
        const parsed = isOf(message, 'attempt.exited') ? parseSubject(message.subject) : null;
        if (parsed?.kind !== 'attempt') return message;
        const open = mesh.api?.state().runs.get(parsed.ref.run)?.open ?? new Map<string, never>();
        const { sequence } = open.get(`${parsed.ref.task}#${parsed.ref.n}`) ?? { sequence: null };
        for (const other of open.values())
          // Behind the command: it is not kept for this one.
          if (other.sequence !== null && other.sequence === sequence) other.sequence += 0.5;
        return message;
      };
    },
  ),
];
