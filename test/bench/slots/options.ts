/** Flags of `npm run bench -- slots`. */
import { parseArgs } from 'node:util';

export const PARTS = ['uneven', 'budget', 'even'] as const;
export type Part = (typeof PARTS)[number];

export interface SlotsOptions {
  readonly parts: readonly Part[];
  /** Of the parts that know this number; null: all of them. */
  readonly slots: number | null;
  readonly json: boolean;
}

export const SLOTS_USAGE = `npm run bench -- slots [options]
  --part NAME   uneven (623 lengths on 8 and 64 slots), budget (the same over and over until 40 s are
                over), even (1,800 of one second on 10, 50 and 100); repeatable (all)
  --slots N     only with so many slots
  --json        one JSON object instead of the table`;

/** Throws an Error of one line for what cannot be understood. */
export function parseSlotsOptions(args: readonly string[]): SlotsOptions {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      part: { type: 'string', multiple: true },
      slots: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  const slots = values.slots === undefined ? null : Number(values.slots);
  if (slots !== null && !(Number.isInteger(slots) && slots > 0))
    throw new Error(`--slots ${values.slots ?? ''}: a whole number from 1 on is needed`);
  const parts = (values.part ?? []).map((name) => {
    const part = PARTS.find((one) => one === name);
    if (part === undefined) throw new Error(`--part ${name}: there are ${PARTS.join(', ')}`);
    return part;
  });
  return { parts: parts.length === 0 ? PARTS : parts, slots, json: values.json ?? false };
}
