/**
 * What Node gives every program, simulated while a seed runs: timers, clocks, randomness. A seed runs
 * within one turn of Node's own loop, so nobody else ever sees them.
 */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import type { Cancel, World } from './world.ts';

type Run = (...args: unknown[]) => void;

interface Timer extends Cancel {
  unref(): Timer;
  ref(): Timer;
  hasRef(): boolean;
  refresh(): Timer;
}

/** 2026-02-13, so that dates look like dates. */
export const EPOCH_MS = 1_770_940_800_000;

/** Answers what puts the real ones back. */
export function installGlobals(world: World): () => void {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    setImmediate: globalThis.setImmediate,
    clearImmediate: globalThis.clearImmediate,
  };
  const { random } = Math;
  const dateNow = Date.now;
  const perfNow = performance.now.bind(performance);
  const { randomBytes } = crypto;
  const once = (delayMs: number, run: Run, args: unknown[]): Timer =>
    timerOf(
      world.after(delayMs, () => {
        run(...args);
      }),
    );
  const clear = (timer?: unknown): void => {
    (timer as Timer | null | undefined)?.cancel();
  };
  Object.assign(globalThis, {
    setTimeout: (run: Run, delayMs = 0, ...args: unknown[]) => once(delayMs, run, args),
    setImmediate: (run: Run, ...args: unknown[]) => once(0, run, args),
    setInterval: (run: Run, everyMs = 0, ...args: unknown[]) =>
      repeating(world, everyMs, () => {
        run(...args);
      }),
    clearTimeout: clear,
    clearInterval: clear,
    clearImmediate: clear,
  });
  Math.random = world.random;
  Date.now = () => EPOCH_MS + world.nowMs;
  performance.now = () => world.nowMs;
  const bytes = (count: number): Buffer =>
    Buffer.from(Array.from({ length: count }, () => Math.floor(world.random() * 256)));
  (crypto as { randomBytes: unknown }).randomBytes = bytes;
  syncBuiltinESMExports();
  return () => {
    Object.assign(globalThis, real);
    Math.random = random;
    Date.now = dateNow;
    performance.now = perfNow;
    crypto.randomBytes = randomBytes;
    syncBuiltinESMExports();
  };
}

function timerOf(cancel: Cancel): Timer {
  const timer: Timer = {
    cancel: () => {
      cancel.cancel();
    },
    unref: () => timer,
    ref: () => timer,
    hasRef: () => false,
    refresh: () => timer,
  };
  return timer;
}

function repeating(world: World, everyMs: number, run: () => void): Timer {
  let next: Cancel;
  let isOver = false;
  const again = (): void => {
    next = world.after(Math.max(1, everyMs), () => {
      if (isOver) return;
      again();
      run();
    });
  };
  again();
  return timerOf({
    cancel: () => {
      isOver = true;
      next.cancel();
    },
  });
}
