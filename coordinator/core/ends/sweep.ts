/**
 * What may come after the end. An agent that returns after its run was archived and purged publishes
 * what it had still to say, into streams that nobody purges again (I12). The sweep finds it:
 *
 *   an event of a run that is not live --(after a wait)--> its subjects are purged once more
 *   releases that were received, however late --> logs of those runs on that agent
 *   subjects that belong to no run --> kept to their last messages
 *   changes of a host that newer ones replaced --> the last few stay
 *   words on forgotten agents (forget.ts) --> removed
 *
 * It is asked for at the begin of a term, when something late is seen, and every `sweepEveryMs`. Which
 * runs may be purged is decided where the proof is: their directory, or a stored release.
 */
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { takeForgotten, takeSuperseded } from '../../fleet/fleet-reducer.ts';
import { keyOf } from '../../runs/run-files.ts';
import type { RunEntry } from '../../runs/run-state.ts';
import { sayCordonsAgain } from '../hosts/cordon.ts';
import type { Context, CoreState } from '../core-state.ts';
import type { LateRun, SweepEffect } from './late-state.ts';

/** Of one sweep; the rest comes with the next. */
const MOST_AT_A_TIME = 1_000;
/** Messages of a fleet subject that stay, and of a host's at least. */
export const KEPT_OBSERVATIONS = 200;
/** Replaced changes of a host that stay, to be read by people. */
export const KEPT_CHANGES = 50;

/** An event of an attempt whose run is not live, or is being purged. */
export function noteLateAttempt(
  context: Context,
  at: { agent: string; ref: AttemptRef },
  { message }: EventRecord,
): void {
  const { late } = context.state;
  const { run } = at.ref;
  if (!late.runs.has(run) && late.runs.size >= MOST_AT_A_TIME) return;
  const entry: LateRun = late.runs.get(run) ?? { files: new Map() };
  late.runs.set(run, entry);
  const { agent } = at;
  for (const { sha256 } of filesSaidIn(message))
    entry.files.set(`${agent}/${sha256}`, { agent, sha256 });
  sweepSoon(context);
}

/** What it tells of after the run's end is no part of its view, and is purged with the run all the same. */
export function noteAfterEnd(run: RunEntry, agent: string, { message }: EventRecord): void {
  for (const { sha256 } of filesSaidIn(message)) {
    const object = { agent, sha256 };
    run.replaced.set(keyOf(object), { ...object, sinceMs: Number.POSITIVE_INFINITY });
  }
}

function filesSaidIn({ name, data }: EventRecord['message']): readonly StoredFile[] {
  if (name === 'attempt.file_stored') return [data.file];
  return name === 'attempt.checkpointed' || name === 'attempt.collected' ? data.files : [];
}

/** An acknowledgement that names a run which is not live. */
export function noteLateAck(context: Context, command: string, run: string): void {
  const { late } = context.state;
  if (late.commands.size < MOST_AT_A_TIME) late.commands.set(command, run);
  sweepSoon(context);
}

/** After the wait that readers get with a purge; what comes meanwhile goes with it. */
export function sweepSoon({ state, now }: Context): void {
  const { late, timing } = state;
  late.sweepAtMs = Math.min(late.sweepAtMs, now.monotonicMs + timing.purgeAfterMs);
}

/** The first of a term, when it begins to act. */
export function beginSweeps({ state, now }: Context): void {
  state.late.sweepAtMs = now.monotonicMs + state.timing.purgeAfterMs;
}

export function sweepWhenDue(context: Context): void {
  const { state, now, effects } = context;
  const { late, timing } = state;
  if (now.monotonicMs < late.sweepAtMs) return;
  late.sweepAtMs = now.monotonicMs + timing.sweepEveryMs;
  const runs: SweepEffect['runs'][number][] = [];
  for (const [run, { files }] of late.runs) {
    if (isLive(state, run)) continue; // being purged: once more after that
    late.runs.delete(run);
    runs.push({ run, files: [...files.values()] });
  }
  const commands: string[] = [];
  for (const [command, run] of late.commands) {
    if (isLive(state, run)) continue;
    late.commands.delete(command);
    commands.push(command);
  }
  sayCordonsAgain(context, KEPT_OBSERVATIONS);
  const superseded = takeSuperseded(state.fleet, KEPT_CHANGES);
  const oldestRun = Math.min(...Array.from(state.runs.values(), ({ order }) => order));
  const forgotten = takeForgotten(state.fleet, oldestRun);
  const agents = [...state.fleet.agents.values()];
  effects.push({ kind: 'sweep', runs, commands, agents, superseded, forgotten });
}

/** What the coordinator has in hand, or is about to. */
export function isLive(state: CoreState, run: string): boolean {
  return state.runs.has(run) || state.submitting.has(run);
}
