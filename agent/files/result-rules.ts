/** What a suite asks of its result files. Pure. */
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { LostFile } from '#protocol/messages/attempt/attempt.ts';
import { globToRegExp } from '../attempt/globs.ts';

type Rules = Pick<AttemptSpec, 'fileRules'>;

/** Whether there is something to look at before a result counts. */
export function hasResultRules({ fileRules = [] }: Rules): boolean {
  return fileRules.some(({ required, schema }) => required || schema !== undefined);
}

/** What is stored was looked into before the teardown. */
export function withoutSchemas({ fileRules = [] }: Rules): Rules {
  return {
    fileRules: fileRules.map(({ path, maxBytes, required }) => ({ path, maxBytes, required })),
  };
}

/** The other half: nothing is required, and what is there must fit. */
export function onlySchemas({ fileRules = [] }: Rules): Rules {
  return {
    fileRules: fileRules.flatMap((rule) =>
      rule.schema === undefined ? [] : [{ ...rule, required: false }],
    ),
  };
}

/** Why a file of this size is not kept; null if it may be. */
export function tooLarge({ fileRules = [] }: Rules, path: string, bytes: number): string | null {
  const limits = fileRules
    .filter((rule) => globToRegExp(rule.path).test(path))
    .flatMap(({ maxBytes }) => (maxBytes === null ? [] : [maxBytes]));
  const least = Math.min(...limits);
  return bytes > least ? `${bytes} bytes, more than the ${least} it may have` : null;
}

/** What to say where one of these files is required; null if none is. */
export function requiredAmong({ fileRules = [] }: Rules, lost: readonly LostFile[]): string | null {
  const required = fileRules.filter((rule) => rule.required);
  const lacking = lost.filter(({ path }) =>
    required.some((rule) => rule.path === path || globToRegExp(rule.path).test(path)),
  );
  if (lacking.length === 0) return null;
  return lacking.map(({ path, reason }) => `file ${path}: ${reason}`).join('; ');
}
