/**
 * What the ledger remembers, as entries and as their fold. Pure: the same lines give the same
 * ledger after every restart (I8).
 *
 * Bounded (I12): an attempt's entry goes when it has ended and its log is stored; of ended ones only
 * the newest KNOWN_MOST keys and command ids are kept. Older repeats are told by their place: the
 * mailbox delivers in stream order, so what is not above the newest handled is a repeat; unless it is
 * younger by the stream's clock: then the server has lost messages (the stream was made anew, or its
 * end is gone) and gives their numbers again. Each such time begins an era: within one, sequences
 * compare; what is of a later era is later.
 */
import type {
  GivenStart,
  RevokeCommand,
  StopCause,
  StopCommand,
} from '#protocol/messages/run/command.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { StoppedAttempt } from '#protocol/messages/agent/host.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { isFenced, stoppedAttempt, type AttemptState } from '../attempt/attempt-state.ts';
import { withPeers, type Peers } from '../attempt/gang-peers.ts';
import type { Go } from '../attempt/go.ts';
import { hasSetUp, setupOf } from '../attempt/rules/host-setup-rules.ts';
import { floorOf, targetOf, type StopFloor } from '../host/host-state.ts';

export const KNOWN_MOST = 10_000;

/** An attempt's state as stored: the spec stands in its start entry, what it reported in its report. */
export type StoredAttempt = Omit<AttemptState, 'spec' | 'reported'>;

/** An event with its place on its subject: offered to the outbox again after a crash. */
export interface NumberedEvent {
  readonly subject: string;
  /** The run it is about: its events go with it. */
  readonly run: string;
  readonly seq: number;
  readonly name: MessageName;
  readonly data: MessageData<MessageName>;
}

export interface AttemptRecord {
  readonly command: string;
  readonly sequence: number;
  /** Absent: 0, as in ledgers of before. */
  readonly era?: number;
  /** Among the starts of its command; absent: it is the first, or the only one. */
  readonly place?: number;
  readonly afterStop: number;
  readonly priority: number;
  readonly spec: AttemptSpec;
  /** Null until its actor has written. */
  readonly state: StoredAttempt | null;
  /** The last that a rank of a gang was given. */
  readonly go?: BarrierGo;
}

/** Of a `go`. */
export type BarrierGo = { readonly barrier: string } & Go;

export interface StopRecord {
  readonly command: string;
  readonly sequence: number;
  /** Absent: 0. */
  readonly era?: number;
  readonly stop: StopCommand;
  readonly ended: readonly StoppedAttempt[];
}

interface CommandEntry {
  readonly id: string;
  readonly seq: number;
  /** The stream's timestamp; absent in ledgers of before. */
  readonly ms?: number;
}

/** Where a command stands in its stream. */
export interface MailPlace {
  readonly sequence: number;
  /** The stream's timestamp, ms since 1970. */
  readonly timeMs: number;
}

export type LedgerEntry =
  | { readonly t: 'summary'; readonly ledger: LedgerSummary; readonly ev: readonly NumberedEvent[] }
  | ({
      readonly t: 'start';
      readonly spec: AttemptSpec;
      readonly afterStop: number;
      readonly priority: number;
    } & CommandEntry)
  /** Of one command, in its order. */
  | ({ readonly t: 'starts'; readonly starts: readonly GivenStart[] } & CommandEntry)
  | ({ readonly t: 'stop'; readonly stop: StopCommand } & CommandEntry)
  | ({ readonly t: 'revoke'; readonly ref: RevokeCommand } & CommandEntry)
  | ({ readonly t: 'go'; readonly key: string; readonly go: BarrierGo } & CommandEntry)
  | ({ readonly t: 'peers'; readonly key: string; readonly peers: Peers } & CommandEntry)
  | ({ readonly t: 'drain' | 'undrain' } & CommandEntry)
  | ({ readonly t: 'release'; readonly run: string } & CommandEntry)
  /** A message that was refused: only its place matters. */
  | ({ readonly t: 'rejected' } & CommandEntry)
  | {
      readonly t: 'attempt';
      readonly key: string;
      readonly state: StoredAttempt;
      readonly ev: readonly NumberedEvent[];
      /** Its whole log is stored, or it has none. */
      readonly isShipped: boolean;
    }
  /** The whole log of an ended attempt is stored. */
  | { readonly t: 'shipped'; readonly key: string }
  | {
      readonly t: 'ack';
      readonly command: string;
      /** The last answer to it. */
      readonly isDone: boolean;
      readonly ev: readonly NumberedEvent[];
    }
  | { readonly t: 'dropped'; readonly run: string }
  /** Its folder is gone, though nobody released it: what the host was prepared with went with it. */
  | { readonly t: 'forgot'; readonly run: string };

export interface LedgerSummary {
  readonly sequence: number;
  /** Absent, or null: not known, in ledgers of before. */
  readonly timeMs?: number | null;
  readonly era?: number;
  readonly isDraining: boolean;
  /** Target, sequence, era (absent: 0), true for a pause, and what caused it. */
  readonly floors: readonly (readonly [string, number, number?, (true | null)?, StopCause?])[];
  readonly known: readonly string[];
  readonly attempts: readonly AttemptRecord[];
  readonly stops: readonly StopRecord[];
  /** Not yet answered, by command. */
  readonly revokes: readonly (readonly [string, RevokeCommand])[];
  readonly releasing: readonly string[];
  readonly answered: readonly (readonly [string, readonly string[]])[];
  /** What the host was prepared with; absent: nothing, as in ledgers of before. */
  readonly setups?: readonly string[];
}

export const EMPTY_SUMMARY: LedgerSummary = {
  sequence: 0,
  isDraining: false,
  floors: [],
  known: [],
  attempts: [],
  stops: [],
  revokes: [],
  releasing: [],
  answered: [],
};

/** The fold. Changed in place: it is one process's memory of one file. */
export class LedgerFold {
  /** Newest command handled, in the numbers of the present era. */
  sequence = 0;
  /** The latest stream time of a command handled; null while not known. */
  timeMs: number | null = null;
  era = 0;
  isDraining = false;
  readonly floors = new Map<string, StopFloor>();
  /** Command ids and attempt keys handled, the oldest first. */
  readonly known = new Set<string>();
  readonly attempts = new Map<string, AttemptRecord>();
  readonly stops = new Map<string, StopRecord>();
  readonly revokes = new Map<string, RevokeCommand>();
  readonly releasing = new Set<string>();
  /** Commands answered on ack subjects, by run: those subjects go with the run. */
  readonly answered = new Map<string, readonly string[]>();
  /** What the host was prepared with, until its run goes. */
  readonly setups = new Set<string>();

  apply(entry: LedgerEntry): void {
    if ('id' in entry) {
      this.#advance(entry);
      this.#remember(entry.id);
    }
    switch (entry.t) {
      case 'summary':
        this.#onSummary(entry.ledger);
        return;
      case 'start': {
        const { id: command, seq: sequence, afterStop, priority, spec } = entry;
        const key = attemptKey(spec);
        const { era } = this;
        this.attempts.set(key, { command, sequence, era, afterStop, priority, spec, state: null });
        this.#remember(key);
        return;
      }
      case 'starts': {
        const { era } = this;
        for (const [place, { id: command, ...start }] of entry.starts.entries()) {
          const key = attemptKey(start.spec);
          this.attempts.set(key, {
            command,
            sequence: entry.seq,
            era,
            place,
            ...start,
            state: null,
          });
          this.#remember(key);
        }
        return;
      }
      case 'stop': {
        const { id: command, seq: sequence, stop } = entry;
        const { era } = this;
        this.floors.set(targetOf(stop.run, stop.task), floorOf(stop, { sequence, era }));
        this.stops.set(command, { command, sequence, era, stop, ended: [] });
        this.#answer(stop.run, command);
        return;
      }
      case 'drain':
        this.isDraining = true;
        return;
      case 'undrain':
        this.isDraining = false;
        return;
      case 'release':
        this.releasing.add(entry.run);
        return;
      case 'attempt':
        this.#onAttempt(entry);
        return;
      case 'shipped':
        this.attempts.delete(entry.key);
        return;
      case 'ack':
        if (!entry.isDone) return;
        this.stops.delete(entry.command);
        this.revokes.delete(entry.command);
        return;
      case 'dropped':
        this.#onDropped(entry.run);
        return;
      case 'forgot':
        this.#forgetSetups(entry.run);
        return;
      case 'revoke':
        this.revokes.set(entry.id, entry.ref);
        // A start that comes after it never runs.
        if (entry.ref.superseded === true) this.#remember(attemptKey(entry.ref));
        return;
      case 'go': {
        const attempt = this.attempts.get(entry.key);
        if (attempt !== undefined) this.attempts.set(entry.key, { ...attempt, go: entry.go });
        return;
      }
      case 'peers': {
        const attempt = this.attempts.get(entry.key);
        if (attempt === undefined) return;
        const spec = withPeers(attempt.spec, entry.peers);
        this.attempts.set(entry.key, { ...attempt, spec });
        return;
      }
      case 'rejected':
        return;
    }
  }

  #answer(run: string, command: string): void {
    this.answered.set(run, [...(this.answered.get(run) ?? []), command]);
  }

  /** True for a command that was handled before. */
  isRepeat(id: string, place: MailPlace): boolean {
    if (this.known.has(id)) return true;
    return place.sequence <= this.sequence && !this.#isLater(place.timeMs);
  }

  /** Not where the time is unknown: then the sequence alone tells, as it did before. */
  #isLater(timeMs: number): boolean {
    return this.timeMs !== null && timeMs > this.timeMs;
  }

  #advance({ seq, ms }: CommandEntry): void {
    if (ms !== undefined && seq <= this.sequence && this.#isLater(ms)) {
      this.era += 1;
      this.sequence = seq;
    }
    this.sequence = Math.max(this.sequence, seq);
    // The latest, not the last: a server's clock may be set back.
    if (ms !== undefined) this.timeMs = Math.max(ms, this.timeMs ?? ms);
  }

  summary(): LedgerSummary {
    return {
      sequence: this.sequence,
      timeMs: this.timeMs,
      era: this.era,
      isDraining: this.isDraining,
      floors: Array.from(this.floors, ([target, { sequence, era, isPause = null, cause }]) => {
        if (cause !== undefined) return [target, sequence, era, isPause, cause];
        return isPause === true ? [target, sequence, era, isPause] : [target, sequence, era];
      }),
      known: [...this.known],
      attempts: [...this.attempts.values()],
      stops: [...this.stops.values()],
      revokes: [...this.revokes],
      releasing: [...this.releasing],
      answered: [...this.answered],
      ...(this.setups.size === 0 ? {} : { setups: [...this.setups] }),
    };
  }

  #remember(name: string): void {
    this.known.delete(name);
    this.known.add(name);
    if (this.known.size <= KNOWN_MOST) return;
    for (const oldest of this.known) {
      this.known.delete(oldest);
      return;
    }
  }

  #onSummary(ledger: LedgerSummary): void {
    this.sequence = ledger.sequence;
    this.timeMs = ledger.timeMs ?? null;
    this.era = ledger.era ?? 0;
    this.isDraining = ledger.isDraining;
    for (const [target, sequence, era = 0, isPause, cause] of ledger.floors) {
      const pause = isPause === true ? isPause : undefined;
      this.floors.set(target, floorOf({ pause, cause }, { sequence, era }));
    }
    for (const name of ledger.known) this.known.add(name);
    for (const attempt of ledger.attempts) this.attempts.set(attemptKey(attempt.spec), attempt);
    for (const stop of ledger.stops) this.stops.set(stop.command, stop);
    for (const [command, ref] of ledger.revokes) this.revokes.set(command, ref);
    for (const run of ledger.releasing) this.releasing.add(run);
    for (const [run, commands] of ledger.answered) this.answered.set(run, commands);
    for (const setup of ledger.setups ?? []) this.setups.add(setup);
  }

  #onAttempt({ key, state, isShipped }: Extract<LedgerEntry, { t: 'attempt' }>): void {
    const attempt = this.attempts.get(key);
    if (attempt === undefined) return;
    this.attempts.set(key, { ...attempt, state });
    const setup = setupOf(attempt.spec);
    if (setup !== undefined && hasSetUp(state.steps)) this.setups.add(setup);
    if (state.life.kind !== 'exited') return;
    if (isShipped && !isFenced(state)) this.attempts.delete(key);
    if (attempt.state?.life.kind === 'exited') return; // its survivors are gone
    for (const command of state.stop?.commands ?? []) {
      const stop = this.stops.get(command);
      if (stop === undefined) continue;
      const whole = { ...state, spec: attempt.spec, reported: null };
      const ended = [...stop.ended, stoppedAttempt(whole)];
      this.stops.set(command, { ...stop, ended });
    }
  }

  #forgetSetups(run: string): void {
    for (const setup of this.setups) if (setup.startsWith(`${run}/`)) this.setups.delete(setup);
  }

  #onDropped(run: string): void {
    this.releasing.delete(run);
    this.answered.delete(run);
    this.#forgetSetups(run);
    for (const [key, attempt] of this.attempts)
      if (attempt.spec.run === run) this.attempts.delete(key);
    for (const target of [...this.floors.keys()]) {
      if (target === run || target.startsWith(`${run}/`)) this.floors.delete(target);
    }
  }
}
