/** Is there room on the file system that holds a path? */
import { statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CheckOf } from '#protocol/messages/attempt/check-spec.ts';
import { amount } from './amount.ts';
import { failed, PASSED, type CheckContext, type CheckResult } from './types.ts';

const MIB = 1024 * 1024;

export async function checkDisk(
  { path, minFreeMiB }: CheckOf<'disk'>,
  { cwd }: Pick<CheckContext, 'cwd'>,
): Promise<CheckResult> {
  const place = resolve(cwd, path ?? '.');
  const { bavail, bsize } = await statfs(place);
  const freeMiB = (bavail * bsize) / MIB;
  if (freeMiB >= minFreeMiB) return PASSED;
  return failed(`${amount(freeMiB)} free at ${place}, ${amount(minFreeMiB)} needed`);
}
