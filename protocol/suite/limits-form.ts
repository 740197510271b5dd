/** The `limits` of a suite and of its commands: their form, and from there to the wire form. */
import { z } from 'zod';
import { EACH_LIMITS, type LimitsTemplate } from '../messages/attempt/limits.ts';
import { parseSize } from './units.ts';

const SIZE = 'must be a size with a unit, such as 500kB, 64MiB or 1GiB';
const MEMORY = `${SIZE}, or needs`;
const memory = z
  .string({ error: MEMORY })
  .refine((value) => value === 'needs' || (parseSize(value) ?? 0) > 0, MEMORY);
const MAYBE = 'must be a size with a unit, such as 0B or 64MiB, or unlimited';
const maybeSize = z
  .string({ error: MAYBE })
  .refine((value) => value === 'unlimited' || parseSize(value) !== null, MAYBE);
const COUNT = 'must be a whole number, more than 0';
/** Numbers of a step reach this as texts (textify.ts). */
const count = z.union([z.number().int().positive(), z.string().regex(/^[1-9]\d{0,14}$/, COUNT)], {
  error: COUNT,
});

export const LimitsForm = z
  .strictObject({
    memory: memory.optional().meta({
      description:
        'Memory of all its processes together, or needs: as much as needs.memory; needs a memory cgroup on the host',
    }),
    processes: count.optional().meta({
      description: 'Processes and threads; without a cgroup it does not bind root',
    }),
    openFiles: count.optional().meta({ description: 'Open files of each process' }),
    fileSize: maybeSize.optional().meta({ description: 'Size of a file that it writes' }),
    coreSize: maybeSize.optional().meta({ description: 'Size of a core dump; 0B for none' }),
    lockedMemory: maybeSize
      .optional()
      .meta({ description: 'Memory that each process may lock, or unlimited' }),
    stackSize: maybeSize.optional().meta({ description: 'Stack of each process' }),
  })
  .meta({ id: 'limits' });
export type LimitsForm = z.infer<typeof LimitsForm>;

/** Those of a command over those of the suite, key by key; nothing where neither has any. */
export function limitsOf(
  suite: LimitsForm | undefined,
  command: LimitsForm | undefined,
): { limits?: LimitsTemplate } {
  const form = { ...suite, ...command };
  const { memory, processes } = form;
  const each = EACH_LIMITS.flatMap((name) => {
    const written = form[name];
    return written === undefined ? [] : [[name, amountOf(written)] as const];
  });
  const limits: LimitsTemplate = {
    ...memoryOf(memory),
    ...(processes === undefined ? {} : { pids: Number(processes) }),
    ...(each.length === 0 ? {} : { each: Object.fromEntries(each) }),
  };
  return Object.keys(limits).length === 0 ? {} : { limits };
}

function memoryOf(written: string | undefined): Pick<LimitsTemplate, 'memory' | 'memoryBytes'> {
  if (written === undefined) return {};
  return written === 'needs' ? { memory: written } : { memoryBytes: parseSize(written) ?? 0 };
}

/** Of a text that the form has checked. */
function amountOf(written: string | number): number | 'unlimited' {
  if (written === 'unlimited') return written;
  return parseSize(String(written)) ?? Number(written);
}
