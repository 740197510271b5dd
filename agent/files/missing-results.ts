/**
 * Result files that a work folder lacks though they are required, that are not as the suite allows, or
 * that do not fit their schema.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { LostFile } from '#protocol/messages/attempt/attempt.ts';
import type { FileRule } from '#protocol/messages/attempt/stored-file.ts';
import { toError } from '#protocol/messages/errors.ts';
import { matchFiles } from '../attempt/globs.ts';
import { tooLarge } from './result-rules.ts';
import { unfitFiles } from './schema-check.ts';

type Rules = Pick<AttemptSpec, 'fileRules'>;

/** Never rejects: what cannot be read is missing, and why. */
export async function missingResults(work: string, spec: Rules): Promise<LostFile[]> {
  const missing: LostFile[] = [];
  for (const rule of spec.fileRules ?? []) {
    try {
      missing.push(...(await wrongBy(work, spec, rule)));
    } catch (error) {
      missing.push({ path: rule.path, reason: toError(error).message });
    }
  }
  return missing;
}

async function wrongBy(work: string, spec: Rules, rule: FileRule): Promise<LostFile[]> {
  const { path, required, schema } = rule;
  if (!required && schema === undefined) return [];
  const skipped: LostFile[] = [];
  const found = await matchFiles(work, [path], (at, reason) => {
    skipped.push({ path: at, reason });
  });
  if (found.length === 0)
    return required ? [skipped[0] ?? { path, reason: 'no file matches' }] : [];
  const wrong: LostFile[] = [];
  const files: { path: string; bytes: number }[] = [];
  for (const file of found) {
    const bytes = (await lstat(join(work, file))).size;
    const reason = tooLarge(spec, file, bytes);
    if (reason === null) files.push({ path: file, bytes });
    else if (required) wrong.push({ path: file, reason });
  }
  return [...wrong, ...(await unfitFiles(work, rule, files))];
}
