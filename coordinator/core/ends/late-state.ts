/** What was seen of runs that are not live any more, and what a sweep is asked to take (sweep.ts). */
import type { AgentEntry } from '../../fleet/fleet-reducer.ts';

/** What was seen of a run that is not live: its stored files are told by its events alone. */
export interface LateRun {
  readonly files: Map<string, { readonly agent: string; readonly sha256: string }>;
}

export interface LateState {
  readonly runs: Map<string, LateRun>;
  /** Commands of runs that are not live, by id, with their run: their acknowledgements go. */
  readonly commands: Map<string, string>;
  /** Monotonic. */
  sweepAtMs: number;
}

export interface SweepEffect {
  readonly kind: 'sweep';
  readonly runs: readonly {
    readonly run: string;
    readonly files: readonly { readonly agent: string; readonly sha256: string }[];
  }[];
  readonly commands: readonly string[];
  /** Every agent that was ever heard of; of its own subject, where its last start stands. */
  readonly agents: readonly Pick<AgentEntry, 'id' | 'startedSequence' | 'saidSince'>[];
  /** Sequences in BM_EVENTS of changes of hosts that newer ones have replaced. */
  readonly superseded: readonly number[];
  /** Agents with the sequence of the word that they are forgotten: what is on their fleet subject goes up to it. */
  readonly forgotten: readonly { readonly agent: string; readonly sequence: number }[];
}

export function createLate(): LateState {
  return { runs: new Map(), commands: new Map(), sweepAtMs: 0 };
}
