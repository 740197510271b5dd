/** How a further attempt needs more than the one before: what each amount becomes. */
import { z } from 'zod';

/** One of `times` and `plus`. */
export const Raise = z.object({
  times: z.number().gt(1).optional(),
  plus: z.number().int().positive().optional(),
  /** Never more than this; absent: no more than a host could give. */
  upTo: z.number().int().positive().optional(),
});
export type Raise = z.infer<typeof Raise>;

/** Of the needs of a task; `vramMiB`: of each of its GPUs. */
export const Raises = z.object({
  memoryMiB: Raise.optional(),
  vramMiB: Raise.optional(),
  cpus: Raise.optional(),
  slots: Raise.optional(),
});
export type Raises = z.infer<typeof Raises>;
