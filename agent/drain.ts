/**
 * The wait of a draining agent: until what runs has ended and all of it is stored. Says what it
 * waits for, whenever that changes and twice a minute: who sent the signal wants to know how long.
 */
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import type { RunningAgent } from './agent.ts';
import type { Waiting } from './host/waiting.ts';

const SAY_AGAIN_MS = 30_000;
/** A start that was on its way when the coordinator heard of the drain has come by then. */
const LATE_START_MS = 1_000;
const NAMED_MOST = 5;

export type DrainWait = Pick<RunningAgent, 'waiting' | 'onMoved' | 'stored'>;

export interface DrainOptions {
  readonly clock: Clock;
  readonly say: (line: string) => void;
}

/**
 * Resolves when nothing is left to wait for. What no signal ends is not waited for; a start that was
 * sent before the coordinator heard of the drain is, since nobody else would give it back.
 */
export async function drained(agent: DrainWait, options: DrainOptions): Promise<void> {
  await ended(agent, options);
  options.say('draining: everything has ended; waits for its events to be stored');
  await agent.stored();
  await new Promise<void>((resolve) => {
    options.clock.after(LATE_START_MS, resolve);
  });
  await ended(agent, options);
  await agent.stored();
}

async function ended(agent: DrainWait, { clock, say }: DrainOptions): Promise<void> {
  let said = '';
  for (;;) {
    const waiting = agent.waiting();
    if (waiting.running.length === 0 && waiting.storing.length === 0) return;
    const line = waitingLine(waiting);
    if (line !== said) say(line);
    said = (await moved(agent, clock)) ? line : '';
  }
}

/** True if something moved, false when it is time to say again what is waited for. */
function moved(agent: DrainWait, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const timer: Timer = clock.after(SAY_AGAIN_MS, () => {
      resolve(false);
    });
    agent.onMoved(() => {
      timer.cancel();
      resolve(true);
    });
  });
}

export function waitingLine({ running, storing }: Waiting): string {
  const parts = [
    ...(running.length === 0 ? [] : [`for ${named(running)} to end`]),
    ...(storing.length === 0 ? [] : [`for the log and files of ${named(storing)} to be stored`]),
  ];
  return `draining: waits ${parts.join(', and ')}`;
}

function named(keys: readonly string[]): string {
  const more = keys.length - NAMED_MOST;
  return `${keys.slice(0, NAMED_MOST).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
