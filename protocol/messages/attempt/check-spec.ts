/**
 * What a host is asked before and while a benchmark runs: data, evaluated by the agent itself. The
 * preflight of an attempt and its health checks use the same kinds; docs/suite.md documents them.
 */
import { z } from 'zod';

const mib = z.number().nonnegative();

export const CheckSpec = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('gpu'),
    /** Part of the GPU's name, whatever its case; null for any GPU. */
    name: z.string().nullable(),
    minFreeVramMiB: mib.nullable(),
    /** Oldest driver version that will do. */
    driver: z.string().nullable(),
  }),
  z.object({
    kind: z.literal('http'),
    url: z.string(),
    /** A text the body must have in it; null: the status decides. */
    contains: z.string().nullable(),
  }),
  /** Exit status 0 within its time. */
  z.object({ kind: z.literal('exec'), argv: z.array(z.string()).min(1) }),
  z.object({
    kind: z.literal('disk'),
    /** Null: the work folder. */
    path: z.string().nullable(),
    minFreeMiB: mib,
  }),
  z.object({ kind: z.literal('file'), path: z.string() }),
  z.object({
    kind: z.literal('port'),
    host: z.string(),
    port: z.number().int().min(1).max(65_535),
    /** Nobody may listen there, rather than somebody must. */
    free: z.boolean(),
  }),
]);
export type CheckSpec = z.infer<typeof CheckSpec>;

export type CheckKind = CheckSpec['kind'];
export type CheckOf<K extends CheckKind> = Extract<CheckSpec, { kind: K }>;

/** When a server counts as ready. */
export const ReadySpec = z.discriminatedUnion('kind', [
  CheckSpec.options[1],
  z.object({ kind: z.literal('port'), host: z.string(), port: z.number().int().min(1) }),
  /** A line of its output has this text in it. */
  z.object({ kind: z.literal('line'), text: z.string() }),
]);
export type ReadySpec = z.infer<typeof ReadySpec>;

/** Either of them in a suite: every value a text that may hold `{{axis}}`. */
export const CheckTemplate = z.object({
  kind: z.enum(['gpu', 'http', 'exec', 'disk', 'file', 'port', 'line']),
  values: z.record(z.string(), z.string()),
});
export type CheckTemplate = z.infer<typeof CheckTemplate>;
