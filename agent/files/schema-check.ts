/** Whether result files fit the schemas that the suite gives them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LostFile } from '#protocol/messages/attempt/attempt.ts';
import type { FileRule } from '#protocol/messages/attempt/stored-file.ts';
import { toError } from '#protocol/messages/errors.ts';
import type { JsonSchema } from '#protocol/suite/schema/json-schema.ts';
import { mismatches, mismatchText } from '#protocol/suite/schema/mismatches.ts';

/** More is no result to be read at once: it would keep the agent from everything else. */
export const CHECKED_MOST_BYTES = 16 * 1024 * 1024;
const LINES = /\.(ndjson|jsonl)$/i;

/** Of these files of a work folder those that do not fit, and why. Never rejects. */
export async function unfitFiles(
  work: string,
  { schema }: Pick<FileRule, 'schema'>,
  files: readonly { readonly path: string; readonly bytes: number }[],
): Promise<LostFile[]> {
  if (schema === undefined) return [];
  const unfit: LostFile[] = [];
  for (const { path, bytes } of files) {
    const reason =
      bytes > CHECKED_MOST_BYTES
        ? `has ${bytes} bytes: more than ${CHECKED_MOST_BYTES} are not checked against a schema`
        : await checked(join(work, path), schema);
    if (reason !== null) unfit.push({ path, reason });
  }
  return unfit;
}

async function checked(file: string, schema: JsonSchema): Promise<string | null> {
  try {
    const text = await readFile(file, 'utf8');
    return LINES.test(file) ? unfitLine(text, schema) : unfitText(text, schema);
  } catch (error) {
    return toError(error).message;
  }
}

/** Null where it fits. */
export function unfitText(text: string, schema: JsonSchema): string | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `is not JSON: ${toError(error).message}`;
  }
  const found = mismatchText(mismatches(schema, value));
  return found === null ? null : `does not fit its schema: ${found}`;
}

/** The first line that does not fit; a line of its own each value. */
function unfitLine(text: string, schema: JsonSchema): string | null {
  for (const [at, line] of text.split('\n').entries()) {
    const reason = line.trim() === '' ? null : unfitText(line, schema);
    if (reason !== null) return `line ${at + 1} ${reason}`;
  }
  return null;
}
