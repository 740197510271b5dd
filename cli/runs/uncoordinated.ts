/**
 * What no coordinator has recorded yet, because none leads: said beside a run, never in its view,
 * which is a fold of the event log alone (I2). Stops work without one (I6): they are in BM_COMMANDS
 * and their answers in BM_EVENTS.
 */
import { decode } from '#protocol/messages/envelope.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { filters, parseSubject, subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { recordOf } from './record.ts';
import type { StopVerb } from '../stop/stop-text.ts';

export async function hasCoordinator(connection: MeshConnection): Promise<boolean> {
  try {
    await call(connection, 'info', {}, 1_000);
    return true;
  } catch {
    return false;
  }
}

export interface UnreadStop {
  readonly command: string;
  readonly task: string | null;
  readonly verb: StopVerb;
  readonly by: string;
  readonly reason: string | null;
  /** Agents that have acknowledged it as done. */
  readonly done: readonly string[];
}

/** Stops of the run that are stored and not in its fold, in the order they were stored. */
export async function unreadStops(
  connection: MeshConnection,
  fold: RunFold,
): Promise<UnreadStop[]> {
  const stops: UnreadStop[] = [];
  const query = { stream: STREAMS.commands, filters: [subjects.stop()] };
  await readAll(connection, query, (message) => {
    const decoded = decode(message.data);
    if (decoded.kind !== 'ok' || decoded.message.name !== 'command.stop') return;
    const { id: command, data } = decoded.message;
    const isKnown = [...fold.stops, ...fold.requeues, ...fold.pauses.all].some(
      (stop) => stop.command === command,
    );
    if (data.run !== fold.run || isKnown) return;
    const { task, by, reason, pause, requeue } = data;
    const verb = requeue === true ? 'requeue' : pause === true ? 'pause' : 'stop';
    stops.push({ command, task, verb, by, reason, done: [] });
  });
  const named: UnreadStop[] = [];
  for (const stop of stops) {
    named.push({ ...stop, done: await doneBy(connection, stop.command) });
  }
  return named;
}

async function doneBy(connection: MeshConnection, command: string): Promise<string[]> {
  const agents = new Set<string>();
  const query = { stream: STREAMS.events, filters: [filters.acksOf(command)] };
  await readAll(connection, query, (message) => {
    const subject = parseSubject(message.subject);
    if (subject?.kind !== 'ack') return;
    if (recordOf(message)?.message.name === 'command.stop_done') agents.add(subject.agent);
  });
  return [...agents].sort();
}

/** `stop by me@here: wrong model; stored, done on local-1, not recorded yet`. Pure. */
export function unreadStopLine({ task, verb, by, reason, done }: UnreadStop): string {
  const what = task === null ? verb : `${verb} of task ${task}`;
  const why = reason === null ? '' : `: ${reason}`;
  const answer = done.length === 0 ? 'no agent has answered yet' : `done on ${done.join(', ')}`;
  return `${what} by ${by}${why}; stored, ${answer}, not recorded yet`;
}

export const NO_COORDINATOR =
  'no coordinator leads: what agents do is shown, but neither stops nor the end of a run are recorded until one returns (benchmesh up)';
