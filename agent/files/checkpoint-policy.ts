/**
 * Which files make a checkpoint at a look. Pure.
 *
 * A file is complete when it was moved into its place after its last write, when it is the same as at
 * the look before, or when the program that wrote it has ended by itself. What a killed program was
 * writing looks complete from then on: only the first two count for it.
 */
import { CHECKPOINT_FILES_MOST, type CheckpointRules } from '#protocol/messages/attempt/checkpoint.ts';
import type { StepResult } from '#protocol/messages/attempt/attempt.ts';

export interface SeenFile {
  readonly path: string;
  readonly inode: bigint;
  readonly bytes: number;
  readonly modifiedNs: bigint;
  /** Of the inode: a rename changes it and not the time of the last write. */
  readonly changedNs: bigint;
}

export type WriterState = 'running' | 'ended' | 'killed';

export interface Look {
  readonly files: readonly SeenFile[];
  /** By path, `markOf` at the look before. */
  readonly before: ReadonlyMap<string, string>;
  /** By path, `markOf` of what the last checkpoint holds. */
  readonly taken: ReadonlyMap<string, string>;
  readonly writer: WriterState;
  readonly rules: CheckpointRules;
}

export type LookDecision =
  /** Nothing there, nothing new, or something is being written. */
  | { readonly kind: 'wait' }
  /** Oldest change first. */
  | { readonly kind: 'take'; readonly files: readonly SeenFile[] }
  | { readonly kind: 'refuse'; readonly reason: string };

export function markOf({ inode, bytes, modifiedNs }: SeenFile): string {
  return `${inode}:${bytes}:${modifiedNs}`;
}

export function decideLook({ files, before, taken, writer, rules }: Look): LookDecision {
  if (files.length === 0) return { kind: 'wait' };
  const isComplete = (file: SeenFile): boolean =>
    writer === 'ended' ||
    file.changedNs > file.modifiedNs ||
    before.get(file.path) === markOf(file);
  if (!files.every(isComplete)) return { kind: 'wait' };
  const isKnown = (file: SeenFile): boolean => taken.get(file.path) === markOf(file);
  if (files.length === taken.size && files.every(isKnown)) return { kind: 'wait' };
  if (files.length > CHECKPOINT_FILES_MOST) {
    const reason = `${files.length} files, more than the ${CHECKPOINT_FILES_MOST} that a checkpoint may have`;
    return { kind: 'refuse', reason };
  }
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (bytes > rules.maxBytes) {
    const what = files.length === 1 ? (files[0]?.path ?? '') : `${files.length} files`;
    const reason = `${what}: ${bytes} bytes, more than the ${rules.maxBytes} that a checkpoint may have`;
    return { kind: 'refuse', reason };
  }
  const inOrder = files.toSorted(
    (a, b) => compare(a.modifiedNs, b.modifiedNs) || compare(a.path, b.path),
  );
  return { kind: 'take', files: inOrder };
}

function compare<T extends bigint | string>(a: T, b: T): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** A shell tells of a killed program by a status above this. */
const KILLED_ABOVE = 128;

export function writerAfter(steps: readonly Pick<StepResult, 'end' | 'code'>[]): WriterState {
  const isKilled = steps.some(
    ({ end, code }) => end === 'signaled' || end === 'lost' || (code ?? 0) > KILLED_ABOVE,
  );
  return isKilled ? 'killed' : 'ended';
}
