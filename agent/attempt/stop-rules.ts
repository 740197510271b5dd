/** A stop that reaches an attempt which another has reached before: never less than was asked. Pure. */
import type { ReachedStop, StopOrder } from './attempt-state.ts';

export function joined(
  known: ReachedStop | null,
  stop: StopOrder,
  fresh: { readonly graceMs: number; readonly arrivedMs: number },
): ReachedStop {
  if (known !== null) {
    const graceMs = Math.min(known.graceMs, fresh.graceMs);
    return {
      ...known,
      commands: [...known.commands, stop.command],
      graceMs,
      now: known.now || stop.now,
    };
  }
  return {
    commands: [stop.command],
    by: stop.by,
    reason: stop.reason,
    now: stop.now,
    ...(stop.givesBack === true ? { givesBack: true } : {}),
    ...(stop.cause === undefined ? {} : { cause: stop.cause }),
    ...fresh,
    processes: 0,
    signal: null,
    goneMs: 0,
  };
}
