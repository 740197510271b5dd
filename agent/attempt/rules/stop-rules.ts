/** A stop of an attempt, and one that reaches it after another: never less than was asked. Pure. */
import type { StopCommand } from '#protocol/messages/run/command.ts';
import type { ReachedStop, StopOrder } from '../stop-order.ts';
import type { Turn } from './turn.ts';

/** What has ended within a moment says by which stop in its end: a message less of each attempt. */
export function announceStop(turn: Turn, stop: StopOrder): void {
  if (!isSaid(turn, stop.command)) turn.effect({ kind: 'say_stopping_soon', stop });
}

/** Once of each stop, over restarts too. */
export function sayStopping(turn: Turn, { command, by, reason }: StopOrder): void {
  const { stop } = turn.state;
  if (stop === null || isSaid(turn, command)) return;
  turn.keep({ stop: { ...stop, said: [...(stop.said ?? []), command] } });
  turn.emit('attempt.stopping', { elapsedMs: turn.elapsedMs(), command, by, reason });
}

function isSaid(turn: Turn, command: string): boolean {
  return turn.state.stop?.said?.includes(command) === true;
}

export function orderOf(command: string, stop: StopCommand): StopOrder {
  const { by, reason, graceMs, now, cause, pause, requeue } = stop;
  const order = { command, by, reason, graceMs, now, cause };
  if (pause !== true) return order;
  return { ...order, isPause: true, ...(requeue === true ? { isRequeue: true } : {}) };
}

export function joined(
  known: ReachedStop | null,
  stop: StopOrder,
  fresh: { readonly graceMs: number; readonly arrivedMs: number },
): ReachedStop {
  if (known !== null) {
    const graceMs = Math.min(known.graceMs, fresh.graceMs);
    const both = { ...known, graceMs, now: known.now || stop.now };
    const { isPause = false, isRequeue: _, ...rest } = both;
    // Not for a while any more: it is told as the stop's.
    if (isPause && stop.isPause !== true && stop.givesBack !== true) {
      const { command, by, reason, cause } = stop;
      const why = { by, reason, ...(cause === undefined ? {} : { cause }) };
      return { ...rest, ...why, commands: [command, ...known.commands] };
    }
    return { ...both, commands: [...known.commands, stop.command] };
  }
  return {
    commands: [stop.command],
    by: stop.by,
    reason: stop.reason,
    now: stop.now,
    ...(stop.givesBack === true ? { givesBack: true } : {}),
    ...(stop.cause === undefined ? {} : { cause: stop.cause }),
    ...(stop.isPause === true ? { isPause: true } : {}),
    ...(stop.isRequeue === true ? { isRequeue: true } : {}),
    ...(stop.isSuperseded === true ? { isSuperseded: true } : {}),
    ...fresh,
    processes: 0,
    signal: null,
    goneMs: 0,
  };
}
