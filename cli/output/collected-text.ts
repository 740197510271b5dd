/** What a collection of an attempt's files came to, in words. Pure. */
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import type { CollectedAgain } from '../runs/collect-again.ts';
import { nameOf } from '../runs/work-file.ts';
import { bytes, plural } from './format.ts';
import { oneLine } from './text.ts';

/** `files`: all that is kept of the attempt now. */
export function collectedLines({
  ref,
  attempt: { exited },
  files,
  lost,
  unfit,
}: Omit<CollectedAgain, 'id'> & { readonly files: readonly StoredFile[] }): string[] {
  const state = exited === null ? 'running' : exited.outcome;
  const note =
    exited === null
      ? 'it goes on: when it ends they are collected once more'
      : 'its outcome and metrics stay as they are';
  return [
    `${nameOf(ref)} (${state}): ${plural(files.length, 'file')} kept; ${note}`,
    ...files.map(({ path, bytes: size }) => `${path} (${bytes(size)})`).map(indented),
    ...lost.map(({ path, reason }) => `missing: ${path}: ${reason}`).map(indented),
    ...unfit.map(({ path, reason }) => `${path} ${reason}`).map(indented),
  ];
}

function indented(line: string): string {
  return `  ${oneLine(line)}`;
}
