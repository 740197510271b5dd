/**
 * Stops on the host: which starts they forbid, whom they reach, and when they are done. Pure, as
 * host-reducer.ts, whose rules 1 and 2 these are (I5, I6).
 */
import type { StopCommand } from '#protocol/messages/run/command.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import {
  floorOf,
  targetOf,
  type HostEffect,
  type HostMessage,
  type HostState,
  type LiveAttempt,
  type OpenStop,
  type StopFloor,
} from './host-state.ts';

type Of<K extends HostMessage['kind']> = Extract<HostMessage, { kind: K }>;
type Result = readonly [HostState, readonly HostEffect[]];

/** The stop that forbids the start (1): an open one if there is one, else the remembered floor. */
export function overtakingStop(
  state: HostState,
  attempt: LiveAttempt,
): { readonly command: string; readonly stop: StopCommand } | null {
  const { run, task } = attempt.ref;
  const floor = newest(
    state.floors.get(targetOf(run, null)),
    state.floors.get(targetOf(run, task)),
  );
  if (floor === undefined || knows(attempt, floor)) return null;
  for (const open of state.openStops.values()) {
    if (isUnder(attempt, open)) return { command: open.command, stop: open.stop };
  }
  return { command: `stop-${floor.sequence}`, stop: rememberedStop(run, floor) };
}

/** What is still known of a stop that is over. */
function rememberedStop(run: string, { isPause, cause }: StopFloor): StopCommand {
  return {
    run,
    task: null,
    graceMs: 0,
    now: true,
    by: isPause === true ? 'an earlier pause' : 'an earlier stop',
    reason: cause === 'budget' ? "the run's budget was used up" : null,
    ...(isPause === true ? { pause: true } : {}),
    ...(cause === undefined ? {} : { cause }),
  };
}

function newest(a: StopFloor | undefined, b: StopFloor | undefined): StopFloor | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return isAfter(a, b) ? a : b;
}

function isAfter(a: StopFloor, b: StopFloor): boolean {
  return a.era === b.era ? a.sequence > b.sequence : a.era > b.era;
}

/** Whether the leader had read the stop when it gave the start. */
function knows(attempt: LiveAttempt, stop: StopFloor): boolean {
  if (!isAfter(attempt, stop)) return false;
  // Not below the start itself: a number of an earlier era, which says nothing of this one's stops.
  const isOld = attempt.era === stop.era && attempt.afterStop >= attempt.sequence;
  return !isOld && attempt.afterStop >= stop.sequence;
}

export function isUnder(
  attempt: LiveAttempt,
  open: Pick<OpenStop, 'stop' | 'era' | 'sequence'>,
): boolean {
  const { run, task } = attempt.ref;
  const { stop } = open;
  return run === stop.run && (stop.task === null || stop.task === task) && !knows(attempt, open);
}

export function onStop(state: HostState, message: Of<'stop'>): Result {
  const { command, era, sequence, stop } = message;
  // Commands come in stream order: this one is the newest.
  const floors = new Map(state.floors).set(
    targetOf(stop.run, stop.task),
    floorOf(stop, { era, sequence }),
  );
  const open = openStop(state, { command, era, sequence, stop, ended: [], isReceiptSaid: false });
  const [next, effects] = reach({ ...state, floors }, open, []);
  if (!next.openStops.has(command)) return [next, effects];
  return [next, [...effects, { kind: 'say_received_soon', command }]];
}

/** What is done within a moment says so, and with it that it was received: a message less of each agent. */
export function onSayReceived(state: HostState, command: string): Result {
  const open = state.openStops.get(command);
  if (open === undefined || open.isReceiptSaid) return [state, []];
  const openStops = new Map(state.openStops).set(command, { ...open, isReceiptSaid: true });
  return [{ ...state, openStops }, [receiptOf(open)]];
}

export function receiptOf({ command, stop: { run }, waiting, ended }: OpenStop): HostEffect {
  return { kind: 'stop_received', command, run, attempts: waiting.size + ended.length };
}

/** The stop with the attempts it waits for; what is fenced has ended already. */
export function openStop(state: HostState, stop: Omit<OpenStop, 'waiting'>): OpenStop {
  const reached = [...state.live.values()].filter((attempt) => isUnder(attempt, stop));
  const named = new Set(stop.ended.map((ended) => attemptKey(ended)));
  const fenced = reached.flatMap(({ key, stopped }) =>
    stopped === undefined || named.has(key) ? [] : [stopped],
  );
  const waiting = reached.filter(({ stage }) => stage !== 'fenced').map(({ key }) => key);
  return { ...stop, waiting: new Set(waiting), ended: [...stop.ended, ...fenced] };
}

/** Sends the stop to what it waits for, and takes queued ones out of the queue. */
export function reach(state: HostState, open: OpenStop, before: readonly HostEffect[]): Result {
  const effects = [...before];
  const live = new Map(state.live);
  for (const key of open.waiting) {
    const attempt = live.get(key);
    if (attempt?.stage === 'queued') live.set(key, { ...attempt, stage: 'ending' });
    effects.push({ kind: 'stop_attempt', key, command: open.command, stop: open.stop });
  }
  const openStops = new Map(state.openStops).set(open.command, open);
  return settle({ ...state, live, openStops }, effects);
}

/** Says done for every open stop that waits for nothing (2). */
export function settle(state: HostState, before: readonly HostEffect[]): Result {
  const done = [...state.openStops.values()].filter((open) => open.waiting.size === 0);
  if (done.length === 0) return [state, before];
  const openStops = new Map(state.openStops);
  const effects = [...before];
  for (const { command, stop, ended, isReceiptSaid } of done) {
    openStops.delete(command);
    effects.push({ kind: 'stop_done', command, stop, attempts: ended, isReceiptSaid });
  }
  return [{ ...state, openStops }, effects];
}
