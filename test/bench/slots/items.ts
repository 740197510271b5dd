/** What the slots bench runs: sleeps of recorded lengths. Pure. */
import { seededRandom } from '#test/support/seed.ts';

/** Of the lengths of the uneven items: the same in every run of the bench. */
export const SEED = 623;
const ITEMS = 623;
const LEAST_MS = 5;
const MOST_MS = 3_000;
const LONGEST_MS = 20_000;

/** Milliseconds of each item: most are short, some long (evenly on a logarithmic scale), one is very long. */
export function unevenItems(): number[] {
  const random = seededRandom(SEED);
  const items = new Set<number>();
  while (items.size < ITEMS - 1) {
    const lengthMs = LEAST_MS * (MOST_MS / LEAST_MS) ** random();
    // A cell is one value of an axis: no two are the same.
    items.add(Math.round(lengthMs * 100) / 100);
  }
  const list = [...items];
  // In the midst of the list: last it would be late however the others are ordered.
  list.splice(Math.floor(random() * ITEMS), 0, LONGEST_MS);
  return list;
}

export function evenItems(count: number, lengthMs: number): number[] {
  return Array.from({ length: count }, () => lengthMs);
}

/** No schedule is shorter. */
export function lowerBoundMs(items: readonly number[], slots: number): number {
  const total = items.reduce((sum, one) => sum + one, 0);
  return Math.max(total / slots, ...items);
}

/** Extra keys are lines of the suite. Items of one length are told apart by their number. */
export function sleepSuite(name: string, items: readonly number[], extra: string): string {
  const seconds = items.map((lengthMs) => String(lengthMs / 1_000));
  const isEven = new Set(seconds).size < seconds.length;
  const axis = isEven
    ? `  item: [${seconds.map((_, at) => at).join(', ')}]\n  seconds: [${seconds[0] ?? ''}]`
    : `  seconds: [${seconds.join(', ')}]`;
  return `name: ${name}\naxes:\n${axis}\nneeds: { exclusive: false }\nrun: [sleep, '{{seconds}}']\n${extra}`;
}
