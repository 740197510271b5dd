/**
 * The core's state as bytes, and back. A snapshot is what the events up to one sequence make of a core that
 * does not act: a prefix of each replay, kept. Commands are no part of it; there are few (old-starts.ts), and
 * they are read after all events, as in each replay. Pure.
 *
 *   events 1..n -> core -> pieces ... pieces -> core -> events n+1.. -> commands -> as after all of them
 *
 * 1. Everything in the state is kept, whatever it is called: only a run's tasks are told by what differs from
 *    fresh ones (changes.ts).
 * 2. What counts by a monotonic clock was written by that of whoever folded, which stood at 0: it is
 *    counted from the moment of the restore, as a replay would.
 * 3. A run whose subjects were purged since is forgotten: it was archived.
 */
import { deserialize, serialize } from 'node:v8';
import type { CoreState } from '../core/core-state.ts';
import type { RunEntry } from '../runs/run-state.ts';
import { packRun, unpackRun, type PackedRun, type PackedTasks } from './packed-run.ts';

interface Head {
  readonly state: Omit<CoreState, 'runs'>;
  readonly runs: readonly (readonly [string, PackedRun])[];
}

const LENGTH_BYTES = 4;

/** Of a core that has read events alone, at 0 of its monotonic clock. */
export function packCore(state: CoreState): Uint8Array {
  const { runs, ...rest } = state;
  const packed = Array.from(runs, ([id, run]) => [id, packRun(run)] as const);
  const head: Head = { state: rest, runs: packed.map(([id, { run }]) => [id, run]) };
  // Apart from the tasks: what has arrays of numbers in it keeps the whole of its bytes in memory.
  return joined([serialize(head), ...packed.map(([, { tasks }]) => serialize(tasks))]);
}

/** Throws where the bytes are none that this program has written. */
export function unpackCore(bytes: Uint8Array): CoreState {
  const [first, ...others] = parted(bytes);
  if (first === undefined) throw new Error('it is empty');
  const head = deserialize(Buffer.from(first)) as Head;
  const runs = head.runs.map(([id, run], at): [string, RunEntry] => {
    const tasks = others[at];
    if (tasks === undefined) throw new Error(`it lacks the tasks of run ${id}`);
    return [id, unpackRun(run, deserialize(tasks) as PackedTasks)];
  });
  return { ...head.state, runs: new Map(runs) };
}

export type TermParts = Pick<CoreState, 'timing' | 'epoch' | 'claimSequence'>;

/** For a leader of this term, whose monotonic clock says `nowMs`. */
export function begunFrom(restored: CoreState, term: TermParts, nowMs: number): CoreState {
  for (const run of restored.runs.values()) {
    for (const [key, { agent, sha256, sinceMs }] of run.replaced)
      run.replaced.set(key, { agent, sha256, sinceMs: sinceMs + nowMs });
    if (run.purgeAtMs !== null) run.purgeAtMs = nowMs + term.timing.purgeAfterMs;
  }
  const { timing, epoch, claimSequence } = term;
  return { ...restored, timing, epoch, claimSequence, nowMs };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(part.length);
      return [length, part];
    }),
  );
}

function parted(bytes: Uint8Array): Uint8Array[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < buffer.length;) {
    const from = at + LENGTH_BYTES;
    at = from + buffer.readUInt32LE(at);
    if (at > buffer.length) throw new Error('it ends too early');
    parts.push(buffer.subarray(from, at));
  }
  return parts;
}
