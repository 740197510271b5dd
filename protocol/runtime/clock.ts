/**
 * Time as an argument. Reducers get `Now` with each message; only the shell around them reads a
 * clock. Durations come from the monotonic clock, which all processes of one boot share; wall time
 * is for people and is never compared between hosts.
 */
export interface Now {
  /** Wall clock, milliseconds since 1970 UTC. */
  readonly wallMs: number;
  /** Monotonic clock of this boot, milliseconds; comparable between processes of one host. */
  readonly monotonicMs: number;
}

export interface Timer {
  cancel(): void;
}

export interface Clock {
  now(): Now;
  /** Calls `fire` once after `delayMs`. The timer does not keep the process alive by itself. */
  after(delayMs: number, fire: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => ({ wallMs: Date.now(), monotonicMs: Number(process.hrtime.bigint()) / 1e6 }),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
};
