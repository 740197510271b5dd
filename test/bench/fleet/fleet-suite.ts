/** The suites that the simulated fleet runs. */
import { durationsOf, type FleetOptions } from './options.ts';

/**
 * As many tasks as asked for, their durations spread evenly from the least to the most. The axis that
 * varies slowest counts; the durations vary fastest, in an order without a trend.
 */
export function matrixSuite({ tasks, leastMs, mostMs }: FleetOptions): string {
  const count = durationsOf(tasks);
  const seconds = Array.from({ length: count }, (_, at) => {
    const share = ((at * STRIDE) % count) / (count - 1);
    return String(Math.round(leastMs + share * (mostMs - leastMs)) / 1_000);
  });
  return suite('fleet', { item: numbers(tasks / count), seconds: `[${seconds.join(', ')}]` });
}

/** Coprime to the counts of durations. */
const STRIDE = 37;

/** Tasks that last until they are stopped. */
export function heldSuite(tasks: number): string {
  return suite('held', { item: numbers(tasks), seconds: '[3600]' });
}

function numbers(count: number): string {
  return `[${Array.from({ length: count }, (_, at) => at).join(', ')}]`;
}

function suite(name: string, axes: Readonly<Record<string, string>>): string {
  const lines = Object.entries(axes).map(([axis, values]) => `  ${axis}: ${values}`);
  const needs = 'needs:\n  exclusive: false';
  return `name: ${name}\naxes:\n${lines.join('\n')}\n${needs}\nrun: [sleep, '{{seconds}}']\n`;
}
