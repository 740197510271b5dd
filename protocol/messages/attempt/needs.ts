/** What a task needs of its host, spelled out: no template is left in it. */
import { z } from 'zod';

const whole = z.number().int().nonnegative();

/** All of what it says must hold of a number. */
export const NumberRule = z.object({
  gte: z.number().optional(),
  gt: z.number().optional(),
  lte: z.number().optional(),
  lt: z.number().optional(),
});
export type NumberRule = z.infer<typeof NumberRule>;

/**
 * All of what it says must hold of a label. Of a label that is not there only `not` holds, and
 * `exists: false`; a value that is no number is neither more nor less than one.
 */
export const LabelRule = NumberRule.extend({
  in: z.array(z.string()).optional(),
  not: z.array(z.string()).optional(),
  exists: z.boolean().optional(),
});
export type LabelRule = z.infer<typeof LabelRule>;
export const LabelRules = z.record(z.string(), LabelRule);
export type LabelRules = z.infer<typeof LabelRules>;

/** GPUs a task takes, and what each of them must be. */
export const GpuNeeds = z.object({
  count: whole,
  /** Glob of its name, whatever the case. */
  name: z.string().optional(),
  memoryMiB: whole.optional(),
  /** VRAM that nobody uses when it is given. */
  freeMiB: whole.optional(),
  computeCapability: NumberRule.optional(),
  /** False: a whole GPU; true: a MIG instance; a glob: a MIG instance of such a name. */
  mig: z.union([z.boolean(), z.string()]).optional(),
});
export type GpuNeeds = z.infer<typeof GpuNeeds>;

/** Which attempts it never shares a host with. */
export const Apart = z.object({
  /** Those of its run that have the same text here. */
  key: z.string().optional(),
  /** Those of runs that have one of these labels. */
  labels: z.record(z.string(), z.string()).optional(),
});
export type Apart = z.infer<typeof Apart>;

export const Needs = z.object({
  slots: z.number().int().positive(),
  cpus: whole,
  exclusive: z.boolean(),
  /** Absent: it does not say, and what it finds of GPUs is its own affair. */
  gpus: GpuNeeds.optional(),
  /** False: its CPUs are counted, and its processes are not bound to them. */
  pin: z.boolean().optional(),
  /** Absent: not asked. */
  memoryMiB: whole.optional(),
  labels: LabelRules.optional(),
  /** Globs: one of them must be the name of the host or the id of its agent. */
  host: z.array(z.string()).optional(),
  /** By name: how many of a lock of the whole mesh it holds while it runs. */
  locks: z.record(z.string(), z.number().int().positive()).optional(),
  apart: Apart.optional(),
  /** To the fullest host that has room for it. Absent: to the emptiest. */
  place: z.literal('pack').optional(),
  /** Hosts it takes at once, the rest of this on each; absent: one. */
  hosts: z.number().int().positive().optional(),
});
export type Needs = z.infer<typeof Needs>;

/** How many GPUs it takes. */
export function gpuCountOf({ gpus }: Pick<Needs, 'gpus'>): number {
  return gpus?.count ?? 0;
}
