/**
 * The `needs` of a suite: their form, and from there to the wire form. Every value may be a template;
 * what its texts may become is checked with the values of the suite (check-needs.ts).
 */
import { z } from 'zod';
import { readLabels } from '../messages/agent/labels.ts';
import { readNumberRule } from '../messages/agent/label-rules.ts';
import type { Apart, GpuNeeds, LabelRule, Needs } from '../messages/attempt/needs.ts';
import { filled, hasTemplate, text } from './form-parts.ts';
import type { Path } from './problem.ts';
import { parseSize } from './units.ts';

const MIB = 1024 ** 2;

/** What a text may be, by the kind of its place: its value, or null for none. */
const KINDS = {
  count: { read: wholeOf, wanted: 'must be a whole number' },
  positive: {
    read: (written: string) => wholeOf(written) || null,
    wanted: 'must be a whole number, more than 0',
  },
  number: { read: numberOf, wanted: 'must be a number' },
  size: { read: mibOf, wanted: 'must be a size with a unit, such as 500kB, 64MiB or 1GiB' },
  flag: { read: flagOf, wanted: 'must be true or false' },
  comparison: {
    read: readNumberRule,
    wanted: 'must be a number, or one after >=, >, <= or <, such as ">=8.0"',
  },
  place: {
    read: (written: string) => (written === 'spread' || written === 'pack' ? written : null),
    wanted: 'must be spread or pack',
  },
  filled: {
    read: (written: string) => (written === '' ? null : written),
    wanted: 'must not be empty',
  },
  text: { read: (written: string) => written, wanted: 'must be text' },
} as const;
type Kind = keyof typeof KINDS;

function wholeOf(written: string): number | null {
  return /^\d{1,15}$/.test(written) ? Number(written) : null;
}

function numberOf(written: string): number | null {
  const number = written.trim() === '' ? Number.NaN : Number(written);
  return Number.isFinite(number) ? number : null;
}

function mibOf(written: string): number | null {
  const bytes = parseSize(written);
  return bytes === null || bytes === 0 ? null : Math.ceil(bytes / MIB);
}

function flagOf(written: string): boolean | null {
  if (written === 'true' || written === 'false') return written === 'true';
  return null;
}

/** A text in the place of a value: a template, or what is read as one. */
function textFor(kind: Kind): z.ZodString {
  const { read, wanted } = KINDS[kind];
  return textThat((written) => hasTemplate(written) || read(written) !== null, wanted);
}

function textThat(isRight: (written: string) => boolean, wanted: string): z.ZodString {
  return z.string({ error: wanted }).refine(isRight, {
    error: ({ input }) => `${wanted}, not ${JSON.stringify(input)}`,
  });
}

const templateFor = (kind: Kind): z.ZodString => textThat(hasTemplate, KINDS[kind].wanted);

const orTemplate = <S extends z.ZodType>(
  schema: S,
  kind: Kind,
): z.ZodUnion<readonly [S, z.ZodString]> =>
  z.union([schema, templateFor(kind)], { error: KINDS[kind].wanted });

const whole = z.number().int().nonnegative();
const positive = z.number().int().positive();
const flag = orTemplate(z.boolean(), 'flag');
const GPUS = 'must be a number of GPUs, such as 2, or { count: 2 }';

const GpusForm = z
  .strictObject({
    count: orTemplate(whole, 'count').meta({ description: 'How many' }),
    name: filled.optional().meta({ description: 'Glob of the name, such as "*H100*"' }),
    memory: textFor('size').optional().meta({ description: 'VRAM that each has at least' }),
    free: textFor('size').optional().meta({ description: 'VRAM of each that nobody uses' }),
    computeCapability: z
      .union([z.number(), textFor('comparison')], { error: KINDS.comparison.wanted })
      .optional()
      .meta({ description: 'Such as ">=8.0"' }),
    mig: z
      .union([z.boolean(), filled], { error: 'must be true, false or a glob of profiles' })
      .optional()
      .meta({ description: 'false: whole GPUs; true: MIG instances; or a glob such as "3g.*"' }),
  })
  .meta({ id: 'gpus' });

/** Values of labels reach this as texts (textify.ts). */
const value = z.union([text, z.number(), z.boolean()], { error: 'must be text' });
const values = z.array(value).min(1, 'must not be empty');
const amount = z
  .union([z.number(), textFor('number')], { error: KINDS.number.wanted })
  .meta({ type: ['number', 'string'] });
const RULE =
  'must be a value, or a map of in, not, gte, gt, lte, lt and exists, such as { in: [a, b] }';
const RuleForm = z
  .strictObject({
    in: values.optional().meta({ description: 'One of these' }),
    not: z.union([value, values]).optional().meta({ description: 'Not this, or none of these' }),
    gte: amount.optional().meta({ description: 'A number, at least this' }),
    gt: amount.optional().meta({ description: 'A number, more than this' }),
    lte: amount.optional().meta({ description: 'A number, at most this' }),
    lt: amount.optional().meta({ description: 'A number, less than this' }),
    exists: z
      .union([z.boolean(), textFor('flag')], { error: KINDS.flag.wanted })
      .optional()
      .meta({ description: 'Whether it is there at all' }),
  })
  .refine((rule) => Object.keys(rule).length > 0, RULE)
  .meta({ id: 'labelRule' });

const labelKey = z
  .string()
  .refine(
    (key) => readLabels([`${key}=`]).kind === 'labels',
    'of a label must be 1 to 63 of A-Z a-z 0-9 . _ / -',
  );
export const LabelsForm = z.record(labelKey, z.union([value, RuleForm], { error: RULE }));

const APART =
  'must be a text that differs where two may share a host, such as "{{model}}", or a map of key and labels';

export const NeedsForm = z.strictObject({
  slots: orTemplate(positive, 'positive')
    .optional()
    .meta({ description: 'Slots of the host it takes; default 1' }),
  cpus: orTemplate(whole, 'count')
    .optional()
    .meta({ description: 'CPUs the host must have free for it; default 0: not asked' }),
  memory: textFor('size')
    .optional()
    .meta({ description: 'Memory the host must have free for it; default: not asked' }),
  exclusive: flag.optional().meta({ description: 'Takes the whole host; default true' }),
  gpus: z
    .union([whole, textThat(hasTemplate, GPUS), GpusForm], { error: GPUS })
    .optional()
    .meta({ description: 'GPUs it takes, MIG instances counted as GPUs; 0 hides them all' }),
  pin: flag
    .optional()
    .meta({ description: 'Bind its processes to the CPUs it takes; default true' }),
  labels: LabelsForm.optional().meta({ description: 'Labels the agent must have' }),
  host: z
    .union([filled, z.array(filled).min(1, 'must not be empty')], {
      error: 'must be a name of a host, or a list of them; with * for any text',
    })
    .optional()
    .meta({ description: 'Globs: name of the host or id of its agent' }),
  locks: z
    .record(text, orTemplate(positive, 'positive'))
    .optional()
    .meta({ description: 'By name, how many of a lock it holds while it runs' }),
  apart: z
    .union(
      [
        filled,
        z.strictObject({
          key: filled
            .optional()
            .meta({ description: 'No two of the run with the same text on one host' }),
          labels: z
            .record(text, value)
            .optional()
            .meta({ description: 'Not beside runs that have one of these labels' }),
        }),
      ],
      { error: APART },
    )
    .optional()
    .meta({ description: 'What it never shares a host with' }),
  place: orTemplate(z.enum(['spread', 'pack']), 'place')
    .optional()
    .meta({
      description: 'Which of the hosts that have room: the emptiest (spread) or the fullest',
    }),
  hosts: orTemplate(positive, 'positive')
    .optional()
    .meta({ description: 'Hosts it takes at once, the same of each; default 1' }),
});
export type NeedsForm = z.infer<typeof NeedsForm>;

const PLACES: readonly (readonly [RegExp, Kind])[] = [
  [/^(slots|hosts|locks\..*)$/, 'positive'],
  [/^(cpus|gpus|gpus\.count)$/, 'count'],
  [/^(memory|gpus\.memory|gpus\.free)$/, 'size'],
  [/^(exclusive|pin|labels\..*\.exists)$/, 'flag'],
  [/^gpus\.computeCapability$/, 'comparison'],
  [/^labels\..*\.(gte|gt|lte|lt)$/, 'number'],
  [/^place$/, 'place'],
  [/^(gpus\.name|host.*|apart|apart\.key)$/, 'filled'],
];

/** Why what a template has become is not what its place takes; null where it is. */
export function whyNotAt(path: Path, written: string): string | null {
  const place = path.join('.');
  const kind = PLACES.find(([pattern]) => pattern.test(place))?.[1] ?? 'text';
  const { read, wanted } = KINDS[kind];
  return read(written) === null ? wanted : null;
}

/** Of a form without templates. Throws where a text is none of what its place takes. */
export function needsOf(form: NeedsForm): Needs {
  const { slots = 1, cpus = 0, exclusive = true, pin, memory, gpus, labels, host } = form;
  const { locks, apart, place, hosts = 1 } = form;
  const gang = valueOf('positive', hosts);
  const placed = place === undefined ? 'spread' : valueOf('place', place);
  return {
    slots: valueOf('positive', slots),
    cpus: valueOf('count', cpus),
    exclusive: valueOf('flag', exclusive),
    ...(gpus === undefined ? {} : { gpus: gpusOf(gpus) }),
    ...(pin === undefined ? {} : { pin: valueOf('flag', pin) }),
    ...(memory === undefined ? {} : { memoryMiB: valueOf('size', memory) }),
    ...(labels === undefined ? {} : { labels: labelRulesOf(labels) }),
    ...(host === undefined ? {} : { host: typeof host === 'string' ? [host] : [...host] }),
    ...(locks === undefined ? {} : { locks: mapped(locks, (each) => valueOf('positive', each)) }),
    ...(apart === undefined ? {} : { apart: apartOf(apart) }),
    ...(placed === 'pack' ? { place: placed } : {}),
    ...(gang === 1 ? {} : { hosts: gang }),
  };
}

function gpusOf(form: NonNullable<NeedsForm['gpus']>): GpuNeeds {
  if (typeof form !== 'object') return { count: valueOf('count', form) };
  const { count, name, memory, free, computeCapability, mig } = form;
  return {
    count: valueOf('count', count),
    ...(name === undefined ? {} : { name }),
    ...(memory === undefined ? {} : { memoryMiB: valueOf('size', memory) }),
    ...(free === undefined ? {} : { freeMiB: valueOf('size', free) }),
    ...(computeCapability === undefined
      ? {}
      : { computeCapability: valueOf('comparison', computeCapability) }),
    ...(mig === undefined ? {} : { mig: flagOf(String(mig)) ?? String(mig) }),
  };
}

/** What `labels` of a suite and of the config of an agent say. */
export function labelRulesOf(form: z.infer<typeof LabelsForm>): Record<string, LabelRule> {
  return mapped(form, (rule) => (typeof rule === 'object' ? ruleOf(rule) : { in: [String(rule)] }));
}

function ruleOf(form: z.infer<typeof RuleForm>): LabelRule {
  const { in: any, not, exists } = form;
  const numbers = (['gte', 'gt', 'lte', 'lt'] as const).flatMap((key) =>
    form[key] === undefined ? [] : [[key, valueOf('number', form[key])] as const],
  );
  return {
    ...(any === undefined ? {} : { in: any.map(String) }),
    ...(not === undefined ? {} : { not: (Array.isArray(not) ? not : [not]).map(String) }),
    ...Object.fromEntries(numbers),
    ...(exists === undefined ? {} : { exists: valueOf('flag', exists) }),
  };
}

function apartOf(form: NonNullable<NeedsForm['apart']>): Apart {
  if (typeof form === 'string') return { key: form };
  const { key, labels } = form;
  return {
    ...(key === undefined ? {} : { key }),
    ...(labels === undefined ? {} : { labels: mapped(labels, String) }),
  };
}

function mapped<T, U>(of: Readonly<Record<string, T>>, to: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(of).map(([key, each]) => [key, to(each)]));
}

function valueOf<K extends Kind>(
  kind: K,
  written: string | number | boolean,
): NonNullable<ReturnType<(typeof KINDS)[K]['read']>> {
  const read = KINDS[kind].read(String(written));
  if (read === null) throw new Error(`${KINDS[kind].wanted}, not ${JSON.stringify(written)}`);
  return read as NonNullable<ReturnType<(typeof KINDS)[K]['read']>>;
}
