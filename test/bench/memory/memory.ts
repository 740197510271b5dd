/**
 * What the leader holds of a run whose tasks all have ended, beside what it holds of one whose tasks all wait: of
 * attempts that were measured, and of bare ones. Each in a process of its own, by the leader's own reducer.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { printRows } from '../figures.ts';
import type { Held } from './memory-child.ts';

const ROUNDS: readonly (readonly [number, 'bare' | 'measured'])[] = [
  [10_000, 'bare'],
  [100_000, 'bare'],
  [10_000, 'measured'],
  [100_000, 'measured'],
];
/** Of the reducer's state: the process has its program and its server's messages on top. */
const MOST_MIB = 400;
const MOST_HEAP_MIB = 8_000;
const CHILD = fileURLToPath(new URL('./memory-child.ts', import.meta.url));

export function memory(): Promise<void> {
  for (const [tasks, kind] of ROUNDS) {
    const held = measure(tasks, kind);
    const { pendingBytes, endedBytes, endedMicroseconds, snapshotMiB, snapshotMs } = held;
    const heldMiB = ((pendingBytes + endedBytes) * tasks) / 1024 ** 2;
    printRows([
      [
        `${tasks.toLocaleString('en-US')} ended, ${kind}`,
        [
          `${endedBytes.toFixed(0)} bytes each on top of ${pendingBytes.toFixed(0)} of a pending one (${(endedBytes / pendingBytes).toFixed(2)} times as much)`,
          `${heldMiB.toFixed(0)} MiB in all, goal ${MOST_MIB}: ${heldMiB < MOST_MIB ? 'met' : 'NOT met'}`,
          `${endedMicroseconds.toFixed(0)} us of CPU each`,
          `snapshot ${snapshotMiB.toFixed(1)} MiB in ${(snapshotMs / 1_000).toFixed(1)} s`,
        ].join(', '),
      ],
    ]);
  }
  return Promise.resolve();
}

function measure(tasks: number, kind: string): Held {
  const flags = ['--expose-gc', `--max-old-space-size=${MOST_HEAP_MIB}`, '--import', 'tsx'];
  const args = [...flags, CHILD, String(tasks), kind];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Held;
}
