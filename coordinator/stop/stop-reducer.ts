/**
 * Stop: from the operator's message in BM_COMMANDS to its close. Pure.
 *
 *   read -> announced (run.stopping stored) -> everyone has acknowledged -> closed -> deleted
 *
 * 1. Who must acknowledge, and what may be said of it, is the shared fold's (I5): the operator's
 *    CLI comes to the same verdict with no coordinator (I6).
 * 2. A start that this coordinator had sent before it read the stop may be stored after it. The
 *    agent refuses it (I6); the stop is not closed, and its message not deleted, before that.
 * 3. Closed once: what is on its way is not asked for again.
 * 4. A pause is a stop in all of this: it ends processes, and is proven as one.
 * 5. Nobody has asked for a pre-emption: where its task has gone on without an attempt, whose agent is lost, it
 *    does not keep the run from ending. The revoke of that attempt waits there for as long as it takes.
 */
import {
  applyStart,
  applyToStop,
  createStopFold,
  isStopOpen,
  stopView,
  type StopFold,
} from '#protocol/fold/stop-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { StopCommand } from '#protocol/messages/run/command.ts';
import type { OpenAttempt, Progress } from '../runs/run-state.ts';

export type StopResult = 'dead' | 'unproven' | 'unkillable';

export interface StopEntry {
  readonly command: string;
  /** In BM_COMMANDS. */
  readonly sequence: number;
  readonly data: StopCommand;
  readonly fold: StopFold;
  /** Starts that may come after the stop in the stream although they do not know of it. */
  readonly overtaken: Set<string>;
  announced: Progress;
  closed: Progress;
}

/** What an announcement says: enough to end what waits, whatever became of the stop's message. */
export type Announced = Pick<StopCommand, 'task' | 'by' | 'reason' | 'cause' | 'pause'>;

/** Stops of one run. Events may come before the stop they belong to: two streams, two tails. */
export interface RunStops {
  readonly stops: Map<string, StopEntry>;
  /** Stops and pauses announced in the event log, by command id. */
  readonly announced: Map<string, Announced>;
  /** Command ids of stops closed in the event log. */
  readonly closed: Set<string>;
  /** Acknowledgements of commands on this run, by command, as read. */
  readonly acks: Map<string, EventRecord[]>;
}

export function createRunStops(): RunStops {
  return { stops: new Map(), announced: new Map(), closed: new Set(), acks: new Map() };
}

/** A stop was read. Null if it is known. */
export function readStop(
  stops: RunStops,
  stop: { command: string; sequence: number; data: StopCommand },
  open: Iterable<OpenAttempt>,
): StopEntry | null {
  const { command, sequence, data } = stop;
  if (stops.stops.has(command)) return null;
  const entry: StopEntry = {
    ...stop,
    fold: createStopFold({ command, run: data.run, task: data.task, sequence }),
    overtaken: new Set(),
    announced: stops.announced.has(command) ? 'stored' : 'no',
    closed: stops.closed.has(command) ? 'stored' : 'no',
  };
  stops.stops.set(command, entry);
  for (const attempt of open) addStart(entry, attempt);
  for (const ack of stops.acks.get(command) ?? []) applyToStop(entry.fold, ack);
  return entry;
}

/** A start of the run is on its way or was read: stops that it may belong to take note. */
export function noteStart(stops: RunStops, attempt: OpenAttempt): void {
  for (const stop of stops.stops.values()) if (stop.closed === 'no') addStart(stop, attempt);
}

function addStart(stop: StopEntry, attempt: OpenAttempt): void {
  const { data, sequence } = stop;
  if (data.task !== null && data.task !== attempt.task) return;
  const { key } = attempt;
  const isGone = attempt.gone === true || (attempt.superseded === true && isPreemption(stop));
  // One that has exited unproven was started before, wherever its start is now.
  const started = attempt.sequence ?? (attempt.exited ? 0 : Infinity);
  if (started < sequence) {
    stop.overtaken.delete(key);
    const { task, n, agent, exited } = attempt;
    const start = { run: data.run, task, n, agent, sequence: started, exited, gone: isGone };
    applyStart(stop.fold, start);
  } else if (attempt.afterStop < sequence && !isGone) stop.overtaken.add(key);
  else stop.overtaken.delete(key);
}

function isPreemption({ data }: StopEntry): boolean {
  return data.preemptedBy !== undefined;
}

/** An attempt of the run has exited, or the agent was observed. */
export function noteEvent(stops: RunStops, record: EventRecord, ended: string | null): void {
  for (const stop of stops.stops.values()) {
    if (stop.closed !== 'no') continue;
    applyToStop(stop.fold, record);
    if (ended !== null) stop.overtaken.delete(ended);
  }
}

/** An acknowledgement by an agent; kept until the run is purged. */
export function noteAck(stops: RunStops, command: string, record: EventRecord): void {
  const known = stops.acks.get(command);
  if (known === undefined) stops.acks.set(command, [record]);
  else known.push(record);
  const stop = stops.stops.get(command);
  if (stop !== undefined) applyToStop(stop.fold, record);
}

/** `run.stopping`, `run.task_stopping` or `run.paused` was stored. */
export function noteAnnounced(stops: RunStops, command: string, announced: Announced): void {
  stops.announced.set(command, announced);
  const stop = stops.stops.get(command);
  if (stop !== undefined) stop.announced = 'stored';
}

/** `run.stop_closed` was stored: the stop's message may be deleted. */
export function noteClosed(stops: RunStops, command: string): StopEntry | null {
  stops.closed.add(command);
  const stop = stops.stops.get(command);
  if (stop === undefined) return null;
  stop.closed = 'stored';
  return stop;
}

/** Announced stops that can be closed now, and as what. */
export function closable(stops: RunStops): { stop: StopEntry; result: StopResult }[] {
  const ready: { stop: StopEntry; result: StopResult }[] = [];
  for (const stop of stops.stops.values()) {
    if (stop.closed !== 'no' || stop.announced !== 'stored' || stop.overtaken.size > 0) continue;
    if (isStopOpen(stop.fold)) continue;
    const { verdict } = stopView(stop.fold);
    if (verdict !== 'open') ready.push({ stop, result: verdict });
  }
  return ready;
}

/** Whether a stop of the run is still open. */
export function hasOpenStop(stops: RunStops): boolean {
  for (const stop of stops.stops.values()) if (stop.closed !== 'stored') return true;
  return false;
}

/** Command ids of all stops of the run: their acknowledgements belong to its record. */
export function stopCommands(stops: RunStops): string[] {
  return [...new Set([...stops.announced.keys(), ...stops.closed, ...stops.stops.keys()])];
}
