/** Required result files that a work folder lacks, or that are not as the suite allows. */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AttemptSpec } from '#protocol/messages/attempt-spec.ts';
import type { LostFile } from '#protocol/messages/attempt.ts';
import { toError } from '#protocol/messages/errors.ts';
import { matchFiles } from '../attempt/globs.ts';
import { tooLarge } from './result-rules.ts';

/** Never rejects: what cannot be read is missing, and why. */
export async function missingResults(
  work: string,
  spec: Pick<AttemptSpec, 'fileRules'>,
): Promise<LostFile[]> {
  const missing: LostFile[] = [];
  for (const { path, required } of spec.fileRules ?? []) {
    if (!required) continue;
    try {
      const skipped: LostFile[] = [];
      const found = await matchFiles(work, [path], (at, reason) => {
        skipped.push({ path: at, reason });
      });
      if (found.length === 0) missing.push(skipped[0] ?? { path, reason: 'no file matches' });
      for (const file of found) {
        const reason = tooLarge(spec, file, (await lstat(join(work, file))).size);
        if (reason !== null) missing.push({ path: file, reason });
      }
    } catch (error) {
      missing.push({ path, reason: toError(error).message });
    }
  }
  return missing;
}
