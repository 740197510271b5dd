/** What the parts of the suite's form share: texts, durations, words of commands. */
import { z } from 'zod';
import { parseDuration, parseSignal, STOP_SIGNAL_NAMES } from './units.ts';

export const text = z
  .string()
  .refine((value) => !value.includes('\0'), 'must not contain a NUL character');
export const filled = text.min(1, 'must not be empty');
const DURATION = 'must be a duration with a unit, such as 250ms, 10s, 1m30s or 2h';
export const duration = z.string({ error: DURATION }).refine(isDuration, DURATION);
export const positiveDuration = duration.refine(
  (value) => parseDuration(value) !== 0,
  'must be more than 0; leave the key out for no limit',
);
/** Of a key that says nothing when it is left out. */
export const someDuration = duration.refine(
  (value) => parseDuration(value) !== 0,
  'must be more than 0',
);
function isDuration(value: string): boolean {
  return parseDuration(value) !== null;
}

/** Plain words of a command: numbers and booleans stand for their text. */
export const word = z.union([text, z.number(), z.boolean()]);
export const env = z.record(
  z
    .string()
    .regex(
      /^[A-Za-z_][A-Za-z0-9_]*$/,
      'must hold letters, digits and _ only, and not begin with a digit',
    ),
  word,
);
export const argv = z.array(word).min(1, 'must hold the program and its arguments; it is empty');

export function hasOneOf(...names: readonly string[]) {
  return (value: object, context: z.RefinementCtx) => {
    const given = names.filter((key) => key in value);
    if (given.length === 1) return;
    const wanted = `exactly one of ${names.join(', ')}`;
    const message =
      given.length === 0 ? `needs ${wanted}` : `has ${given.join(' and ')}; keep ${wanted}`;
    context.addIssue({ code: 'custom', message });
  };
}

/** A template may stand for any of it: what comes of it is checked with its values. */
export const templatedDuration = z
  .string({ error: DURATION })
  .refine((value) => hasTemplate(value) || isDuration(value), DURATION);
export const templatedLimit = templatedDuration.refine(
  (value) => hasTemplate(value) || parseDuration(value) !== 0,
  'must be more than 0; leave the key out for no limit',
);

export function hasTemplate(value: string): boolean {
  return value.includes('{{');
}

export const stdio = z.enum(['pipe', 'pty']);
const SIGNAL = `must be one of ${STOP_SIGNAL_NAMES.join(', ')}`;
export const signal = z
  .string({ error: SIGNAL })
  .refine((value) => parseSignal(value) !== null, SIGNAL);
