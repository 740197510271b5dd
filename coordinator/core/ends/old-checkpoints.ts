/**
 * Only the last checkpoints of a task stay stored. What a newer one has replaced is removed a while
 * later, if nothing refers to it then: an agent that finds the same content stored already counts on
 * it, and says so only with its next event. Should one be removed all the same (an agent cut off for
 * longer than the wait), the next attempt begins with the checkpoint before it.
 */
import { applyToRun } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { checkpointObjects, keyOf, usedObjects } from '../../runs/run-files.ts';
import type { RunEntry } from '../../runs/run-state.ts';
import type { Context } from '../core-state.ts';

/** Folds a checkpoint and remembers what it replaced. */
export function noteCheckpoint(
  { now }: Context,
  run: RunEntry,
  { ref, record }: { readonly ref: AttemptRef; readonly record: EventRecord },
): void {
  const before = checkpointObjects(run, run.fold.tasks.get(ref.task));
  applyToRun(run.fold, record);
  const after = new Set(checkpointObjects(run, run.fold.tasks.get(ref.task)).map(keyOf));
  for (const object of before) {
    const key = keyOf(object);
    if (!after.has(key)) run.replaced.set(key, { ...object, sinceMs: now.monotonicMs });
  }
}

/** Removes what was replaced long enough ago. */
export function dropOldCheckpoints({ state, now, effects }: Context): void {
  for (const run of state.runs.values()) {
    // A run that is being archived reads its files; its purge takes the rest.
    if (run.replaced.size === 0 || run.ended !== 'no') continue;
    const due = [...run.replaced].filter(
      ([, { sinceMs }]) => now.monotonicMs - sinceMs > state.timing.replacedAfterMs,
    );
    if (due.length === 0) continue;
    const used = usedObjects(run);
    const files = due
      .filter(([key]) => !used.has(key))
      .map(([, { agent, sha256 }]) => ({ agent, sha256 }));
    for (const [key] of due) run.replaced.delete(key);
    if (files.length > 0) effects.push({ kind: 'drop_files', run: run.id, files });
  }
}
