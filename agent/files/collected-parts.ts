/** What a collection came to, as events: each well below what a message may hold. Pure. */
import type { AttemptCollected, LostFile } from '#protocol/messages/attempt/attempt.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';

export type CollectedPart = Omit<AttemptCollected, 'elapsedMs'>;

const PART_CHARS = 128 * 1024;

export interface Told {
  readonly id: string;
  readonly by: string;
  readonly files: readonly StoredFile[];
  /** Null: it was cut short, and nobody knows. */
  readonly lost: readonly LostFile[] | null;
}

/** Only the last of them says what is lost. */
export function collectedParts({ id, by, files, lost }: Told): CollectedPart[] {
  const parts: StoredFile[][] = [[]];
  let chars = 0;
  for (const file of files) {
    const more = JSON.stringify(file).length + 1;
    if (chars > 0 && chars + more > PART_CHARS) {
      parts.push([]);
      chars = 0;
    }
    parts.at(-1)?.push(file);
    chars += more;
  }
  return parts.map((part, at) => ({
    id,
    by,
    files: part,
    ...(lost === null || at < parts.length - 1 ? {} : { lost: [...lost] }),
  }));
}
