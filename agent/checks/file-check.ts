/** Is there something at a path that can be read? */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errnoOf } from '#protocol/messages/errors.ts';
import type { CheckOf } from '#protocol/messages/attempt/check-spec.ts';
import { failed, PASSED, type CheckContext, type CheckResult } from './types.ts';

export async function checkFile(
  { path }: CheckOf<'file'>,
  { cwd }: Pick<CheckContext, 'cwd'>,
): Promise<CheckResult> {
  const place = resolve(cwd, path);
  try {
    await access(place, constants.R_OK);
    return PASSED;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return failed(`${place} does not exist`);
    return failed(`${place} cannot be read (${errno ?? 'unknown error'})`);
  }
}
