/** What a rule of `retries` raises of the needs: its form, and from there to the wire form. */
import { z } from 'zod';
import type { Raise, Raises } from '../messages/run/raise.ts';
import { parseSize } from './units.ts';

const MIB = 1024 ** 2;
const TIMES = /^x(\d{1,4}(?:\.\d{1,4})?)$/;
const BY_SIZE = 'must be a factor above 1 or what is added, with its unit, such as x2 or +8GiB';
const BY_COUNT = 'must be a factor above 1 or what is added, in quotes, such as x2 or "+2"';
const SIZE = 'must be a size with a unit, such as 64GiB';
const COUNT = 'must be a whole number, more than 0';

const mibOf = (text: string): number => Math.ceil((parseSize(text) ?? 0) / MIB);
const countOf = (text: string): number => (/^\d{1,6}$/.test(text) ? Number(text) : 0);

type Read = (text: string) => number;

/** Null where it raises nothing. */
function byOf(text: string, read: Read): Pick<Raise, 'times' | 'plus'> | null {
  const [, times] = TIMES.exec(text) ?? [];
  if (times !== undefined) return Number(times) > 1 ? { times: Number(times) } : null;
  const plus = text.startsWith('+') ? read(text.slice(1)) : 0;
  return plus > 0 ? { plus } : null;
}

function raiseForm(read: Read, wanted: string, limit: z.ZodType<string | number>) {
  const by = z.string({ error: wanted }).refine((text) => byOf(text, read) !== null, wanted);
  return z.union(
    [
      by,
      z.strictObject({
        by: by.meta({ description: 'A factor, such as x2, or what is added, such as +8GiB' }),
        upTo: limit.optional().meta({ description: 'Never more than this' }),
      }),
    ],
    { error: ({ input }) => (typeof input === 'object' ? undefined : wanted) },
  );
}

const size = z.string({ error: SIZE }).refine((text) => mibOf(text) > 0, SIZE);
const count = z.number({ error: COUNT }).int(COUNT).positive(COUNT);

export const RAISED = ['memory', 'vram', 'cpus', 'slots'] as const;

export const RaiseForms = {
  memory: raiseForm(mibOf, BY_SIZE, size)
    .optional()
    .meta({ description: 'Raises needs.memory for the next attempt: x2, or +8GiB' }),
  vram: raiseForm(mibOf, BY_SIZE, size)
    .optional()
    .meta({ description: 'Raises needs.gpus.memory' }),
  cpus: raiseForm(countOf, BY_COUNT, count).optional().meta({ description: 'Raises needs.cpus' }),
  slots: raiseForm(countOf, BY_COUNT, count).optional().meta({ description: 'Raises needs.slots' }),
};
type Written = { readonly [K in keyof typeof RaiseForms]?: z.infer<(typeof RaiseForms)[K]> };

/** Null where nothing is raised. */
export function raisesOf({ memory, vram, cpus, slots }: Written): Raises | null {
  const raises: Raises = {
    ...one('memoryMiB', memory, mibOf),
    ...one('vramMiB', vram, mibOf),
    ...one('cpus', cpus, countOf),
    ...one('slots', slots, countOf),
  };
  return Object.keys(raises).length === 0 ? null : raises;
}

function one(key: keyof Raises, written: Written[keyof Written], read: Read): Raises {
  if (written === undefined) return {};
  const { by, upTo } = typeof written === 'string' ? { by: written } : written;
  const limit = upTo === undefined ? {} : { upTo: read(String(upTo)) };
  return { [key]: { ...byOf(by, read), ...limit } };
}
