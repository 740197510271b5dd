/**
 * What the lease's thread and the coordinator's share: numbers that either reads without waiting for the
 * other. Times are of the host's monotonic clock, which is one for all threads.
 */
const HOLDS_UNTIL = 0;
const ALIVE_AT = 1;

export type LeaseMemory = Float64Array<SharedArrayBuffer>;

export function createLeaseMemory(): LeaseMemory {
  return new Float64Array(new SharedArrayBuffer(2 * Float64Array.BYTES_PER_ELEMENT));
}

export function hostMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** Written by the lease's thread: for so long from now it surely holds; null: it does not. */
export function setHeld(memory: LeaseMemory, leftMs: number | null): void {
  memory[HOLDS_UNTIL] = leftMs === null ? 0 : hostMs() + leftMs;
}

export function isHeld(memory: LeaseMemory): boolean {
  return hostMs() < (memory[HOLDS_UNTIL] ?? 0);
}

/** Written by the coordinator's thread. */
export function sayAlive(memory: LeaseMemory): void {
  memory[ALIVE_AT] = hostMs();
}

export function silentMs(memory: LeaseMemory): number {
  return hostMs() - (memory[ALIVE_AT] ?? 0);
}
