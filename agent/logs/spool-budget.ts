/**
 * How many log bytes the host may hold undelivered, all attempts together (I12). Each step gets its
 * share at its start, as the limit of its own spool: at that it drops and counts, and its processes
 * never wait.
 *
 *   take (start) -> end (its output is whole) -> release (all of it delivered, or given up)
 *                     \--> measured, once, when a start finds too little
 *
 * 1. What is given out never exceeds the bound. A start never waits for more: of what is free it
 *    gets what it wants, but leaves as much to each idle slot, and at least as much as it takes.
 * 2. Steps that ended hold what lies in their folder. That is looked up only where a start finds too
 *    little: as long as there is room, a step costs no system call.
 * 3. Less than the suite wants is noted in the step's folder, for the next process of this agent.
 */
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '#protocol/runtime/log.ts';

const LEAST_BYTES = 16 * 1024 ** 3;
const SLOT_BYTES = 256 * 1024 ** 2;
const NOTE = 'log-limit';

/** The bound where nobody sets one: enough for each slot's default `logLimit`. */
export function hostSpoolBytes(slots: number): number {
  return Math.max(LEAST_BYTES, slots * SLOT_BYTES);
}

/** What a start gets of `freeBytes`; `idle`: slots beside it on which more may start. Pure. */
export function shareOf(wantedBytes: number, freeBytes: number, idle: number): number {
  return Math.min(wantedBytes, Math.max(0, Math.floor(freeBytes / Math.max(2, idle + 1))));
}

export interface SpoolBudgetOptions {
  readonly limitBytes: number;
  readonly slots: number;
  readonly log: Log;
  /** What lies in the folder of a step, in bytes. */
  readonly measure?: (stepDir: string) => number;
}

interface Holding {
  bytes: number;
  /** `measured`: it ended, and only gets less. */
  stage: 'runs' | 'ended' | 'measured';
}

export class SpoolBudget {
  readonly #options: SpoolBudgetOptions;
  readonly #holdings = new Map<string, Holding>();
  #heldBytes = 0;
  #running = 0;

  constructor(options: SpoolBudgetOptions) {
    this.#options = options;
  }

  /** Given out so far. After a restart it may be more than the bound, until it is measured. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The limit of a step that starts; its folder is there. `isAlone`: nothing runs beside its attempt. */
  take(stepDir: string, wantedBytes: number, isAlone: boolean): number {
    this.release(stepDir);
    let bytes = this.#share(wantedBytes, isAlone);
    if (bytes < wantedBytes) {
      this.#measure();
      bytes = this.#share(wantedBytes, isAlone);
    }
    if (bytes < wantedBytes) {
      const { log, limitBytes } = this.#options;
      const facts = { stepDir, wantedBytes, bytes, heldBytes: this.#heldBytes, limitBytes };
      log.warn(facts, 'a step may hold less of its log than its suite allows: spoolLimit');
      note(stepDir, bytes);
    }
    this.#hold(stepDir, { bytes, stage: 'runs' });
    return bytes;
  }

  /** One that an earlier process started. Answers the limit it has; at most `wantedBytes`. */
  adopt(stepDir: string, wantedBytes: number): number {
    const known = this.#holdings.get(stepDir);
    if (known !== undefined) return known.bytes;
    const bytes = noted(stepDir, wantedBytes);
    this.#hold(stepDir, { bytes, stage: 'runs' });
    return bytes;
  }

  /** Its output is whole: it holds that until it is delivered. */
  end(stepDir: string): void {
    const holding = this.#holdings.get(stepDir);
    if (holding?.stage !== 'runs') return;
    holding.stage = 'ended';
    this.#running -= 1;
  }

  /** Nothing of it is left to deliver. */
  release(stepDir: string): void {
    const holding = this.#holdings.get(stepDir);
    if (holding === undefined) return;
    this.#holdings.delete(stepDir);
    this.#heldBytes -= holding.bytes;
    if (holding.stage === 'runs') this.#running -= 1;
  }

  #hold(stepDir: string, holding: Holding): void {
    this.#holdings.set(stepDir, holding);
    this.#heldBytes += holding.bytes;
    this.#running += 1;
  }

  #share(wantedBytes: number, isAlone: boolean): number {
    const { limitBytes, slots } = this.#options;
    const idle = isAlone ? 0 : slots - this.#running - 1;
    return shareOf(wantedBytes, limitBytes - this.#heldBytes, idle);
  }

  #measure(): void {
    const { measure = bytesIn } = this.#options;
    for (const [stepDir, holding] of this.#holdings) {
      if (holding.stage !== 'ended') continue;
      const bytes = Math.min(holding.bytes, measure(stepDir));
      this.#heldBytes -= holding.bytes - bytes;
      holding.bytes = bytes;
      holding.stage = 'measured';
    }
  }
}

/** Of files that cannot be looked at: none, as they are gone. */
function bytesIn(folder: string): number {
  try {
    return readdirSync(folder).reduce(
      (sum, name) => sum + (lstatSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  } catch {
    return 0;
  }
}

/** Without it the step is taken for one that has all it wanted. */
function note(stepDir: string, bytes: number): void {
  try {
    writeFileSync(join(stepDir, NOTE), `${bytes}\n`);
  } catch {
    // A full disk, which the start of the step will tell.
  }
}

/** A benchmark may have written there: never more than `mostBytes`. */
function noted(stepDir: string, mostBytes: number): number {
  try {
    const text = readFileSync(join(stepDir, NOTE), 'utf8');
    return /^\d{1,15}\n$/.test(text) ? Math.min(mostBytes, Number(text)) : mostBytes;
  } catch {
    return mostBytes;
  }
}
