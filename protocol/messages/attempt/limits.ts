/** What the processes of a step may take. A step whose limits its host cannot enforce is not started. */
import { z } from 'zod';

/** Of each process alone (setrlimit): bytes, but for `openFiles`. */
export const EACH_LIMITS = [
  'openFiles',
  'fileSize',
  'coreSize',
  'lockedMemory',
  'stackSize',
] as const;
export const EachLimit = z.enum(EACH_LIMITS);
export type EachLimit = z.infer<typeof EachLimit>;

export const StepLimits = z.object({
  /** Of all its processes together; above it the kernel kills: class `oom`. */
  memoryBytes: z.number().int().positive().optional(),
  /** Processes and threads. */
  pids: z.number().int().positive().optional(),
  each: z
    .partialRecord(EachLimit, z.union([z.number().int().nonnegative(), z.literal('unlimited')]))
    .optional(),
});
export type StepLimits = z.infer<typeof StepLimits>;

/** As a suite has them. */
export const LimitsTemplate = StepLimits.extend({
  /** As much as the attempt needs: `memoryBytes` of its spec says how much that is. */
  memory: z.literal('needs').optional(),
});
export type LimitsTemplate = z.infer<typeof LimitsTemplate>;
