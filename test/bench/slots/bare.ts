/** The floor: the same processes, spawned by Node with nothing around them. */
import { spawn } from 'node:child_process';

/** Of what a slot is busy with one after the other, at most: what one costs is their mean, however long it sleeps. */
const MOST_MS = 5_000;

/**
 * Milliseconds that a slot needs for a process beyond its sleep, with so many slots at once: from the end of
 * the one before to its own end, less what it was asked to sleep. A part of the items is enough.
 */
export async function bareSpawnMs(items: readonly number[], slots: number): Promise<number> {
  const sample = sampleOf(items, slots);
  const left = [...sample];
  let spentMs = 0;
  const slot = async (): Promise<void> => {
    for (let lengthMs = left.pop(); lengthMs !== undefined; lengthMs = left.pop()) {
      const beganMs = performance.now();
      await sleepProcess(lengthMs);
      spentMs += performance.now() - beganMs - lengthMs;
    }
  };
  await Promise.all(Array.from({ length: slots }, slot));
  return spentMs / sample.length;
}

/** Every n-th of them, as many as fit in the time; never fewer than two for each slot. */
function sampleOf(items: readonly number[], slots: number): number[] {
  const short = items.filter((one) => one <= MOST_MS);
  const totalMs = short.reduce((sum, one) => sum + one, 0);
  const fits = Math.max(1, Math.ceil(totalMs / slots / MOST_MS));
  const stride = Math.max(1, Math.min(fits, Math.floor(short.length / (2 * slots))));
  return short.filter((_, at) => at % stride === 0);
}

function sleepProcess(lengthMs: number): Promise<void> {
  return new Promise((settle, fail) => {
    spawn('sleep', [String(lengthMs / 1_000)], { stdio: 'ignore' })
      .on('error', fail)
      .on('close', () => {
        settle();
      });
  });
}
