/**
 * One step on the scan rung, owned by the agent itself.
 *
 *   running --main ends, stop, budget--> ending (grace, sweep, drain) --> ended
 *
 * Its main process is the agent's child, in its own session. Should the agent die, the
 * process and its output go on, but nobody learns its exit status, and its budget is
 * enforced again only once an agent has adopted it; that agent looks for its end twice a
 * second. What is left at the end is swept, and nothing is ever proven (scan-sweep.ts).
 */
import { closeSync, constants, openSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { appendPlain } from '../plain-file.ts';
import { RAW_LOG, rawDropped, rawSize } from './raw-log.ts';
import { readProcess } from './proc-table.ts';
import { findProcesses, killProcesses, signalProcesses, type NamedTarget } from './scan-sweep.ts';
import { signalNumber } from '../meshrun-client/start-frame.ts';
import { outcomeOf } from '../record/step-outcome.ts';
import { readRecord, type Gone, type RecordLine } from '../record/step-record.ts';
import type { StepEvents, StepHandle } from '../types.ts';

/** What the step was asked for, kept in scan.json for an agent that adopts it. */
export interface ScanPlan {
  readonly budgetMs: number | null;
  readonly graceMs: number;
  readonly stopSignal: string;
  readonly stopFile: string;
}

/** How the main process ended, where that can be known. */
export interface MainEnd {
  readonly code: number | null;
  readonly signal: number | null;
}

interface Setting {
  readonly stepDir: string;
  readonly plan: ScanPlan;
  readonly target: NamedTarget;
  readonly events: StepEvents;
  /** What of the budget was used up before this agent came. */
  readonly ranMs: number;
  readonly onOver: () => void;
}

/** From the main process to its drain. */
export const PIPE = 'pipe';
const OUTPUT_PACE_MS = 20;
/** Where changes cannot be watched. */
const OUTPUT_UNWATCHED_MS = 250;
const LINGER_MS = 500;
const DRAIN_PATIENCE_MS = 1000;
const LOOK_MS = 500;

export class ScanStep implements StepHandle {
  readonly pid: number;
  readonly #setting: Setting;
  readonly #begunAt = performance.now();
  #watcher: FSWatcher | null = null;
  #outputTimer: NodeJS.Timeout | null = null;
  #budgetTimer: NodeJS.Timeout | null = null;
  #phase: 'running' | 'ended' | 'detached' = 'running';
  #mainEnd: MainEnd | 'unknown' | null = null;
  #toldBytes = 0;
  #drained = false;
  #stop: { readonly at: number; readonly deadline: boolean; killAt: number } | null = null;
  #signalled = 0;
  #finishing = false;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.pid = setting.target.main.pid;
    this.#watchOutput();
    const { budgetMs } = setting.plan;
    if (budgetMs !== null) this.#armBudget(Math.max(0, budgetMs - setting.ranMs));
  }

  stop(options: { readonly graceMs?: number; readonly now?: boolean } = {}): void {
    const graceMs = options.now === true ? 0 : (options.graceMs ?? this.#setting.plan.graceMs);
    this.#beginStop(graceMs, false);
  }

  detach(): void {
    if (this.#phase === 'running') this.#setting.onOver();
    this.#phase = 'detached';
    this.#release();
  }

  onMainEnd(end: MainEnd): void {
    if (this.#mainEnd !== null) return;
    this.#mainEnd = end;
    this.#append({
      type: 'exited',
      ...(end.signal === null ? { code: end.code ?? 0 } : { signal: end.signal, core: false }),
      durationUs: Math.round((performance.now() - this.#begunAt) * 1000),
      userUs: 0,
      systemUs: 0,
      maxRssKiB: 0,
      ...this.#cause(),
    });
    void this.#finish();
  }

  /** The process that drains the output has ended: all of it is on disk. */
  onDrained(): void {
    this.#drained = true;
  }

  /** Follows a main process that is not our child, until it is gone. */
  async watchMain(): Promise<void> {
    while (this.#phase === 'running' && isAlive(this.#setting.target)) await sleep(LOOK_MS);
    if (this.#phase !== 'running') return;
    this.#mainEnd = 'unknown';
    await this.#finish();
  }

  #beginStop(graceMs: number, deadline: boolean): void {
    if (this.#phase !== 'running') return;
    const { plan, target } = this.#setting;
    const killAt = performance.now() + graceMs;
    if (this.#stop === null) {
      this.#stop = { at: performance.now(), deadline, killAt };
      touch(plan.stopFile);
      if (graceMs > 0)
        this.#signalled = signalProcesses(target, signalNumber(plan.stopSignal) ?? 15);
    } else this.#stop.killAt = Math.min(this.#stop.killAt, killAt);
    void this.#finish();
  }

  /** From the stop or the main process's end to the outcome; runs once, hears later haste. */
  async #finish(): Promise<void> {
    if (this.#finishing || !this.#goesOn()) return;
    this.#finishing = true;
    const { target } = this.#setting;
    const orphansUntil = performance.now() + LINGER_MS;
    while (this.#goesOn() && findProcesses(target).length > 0) {
      if (performance.now() >= (this.#stop?.killAt ?? orphansUntil)) break;
      await sleep(10);
    }
    const swept = await killProcesses(target);
    for (let waited = 0; this.#mainEnd === null && waited < DRAIN_PATIENCE_MS; waited += 10)
      await sleep(10);
    for (let waited = 0; this.#isDraining() && waited < DRAIN_PATIENCE_MS; waited += 10) {
      await sleep(10);
    }
    if (!this.#goesOn()) return;
    const { stepDir } = this.#setting;
    const gone: Gone = {
      type: 'gone',
      empty: false,
      proof: 'scan',
      reaped: 0,
      processes: Math.max(swept.processes, this.#signalled, 1),
      waves: swept.waves + (this.#signalled > 0 ? 1 : 0),
      survivors: swept.survivors,
      signal:
        swept.waves > 0
          ? 9
          : this.#signalled > 0
            ? (signalNumber(this.#setting.plan.stopSignal) ?? 15)
            : 0,
      goneUs: this.#stop === null ? -1 : Math.round((performance.now() - this.#stop.at) * 1000),
      ...this.#cause(),
      logBytes: rawSize(stepDir) + rawDropped(stepDir),
      droppedStdout: rawDropped(stepDir),
      droppedStderr: 0,
      ...(this.#mainEnd === 'unknown' && {
        reason: 'the scan rung does not learn the end of a step it adopted',
      }),
    };
    this.#append(gone);
    this.#phase = 'ended';
    this.#release();
    const outcome = outcomeOf({ ...readRecord(stepDir), gone });
    this.#setting.onOver();
    if (outcome !== null) this.#setting.events.onEnd(outcome);
  }

  #isDraining(): boolean {
    const isThere = isDraining(this.#setting.stepDir);
    // Ours may not have opened the pipe yet; of another agent's no end is heard.
    return this.#mainEnd === 'unknown' ? isThere : !this.#drained;
  }

  #goesOn(): boolean {
    return this.#phase === 'running';
  }

  #cause(): { stopRequested: boolean; deadline: boolean } {
    const stop = this.#stop;
    return { stopRequested: stop?.deadline === false, deadline: stop?.deadline === true };
  }

  #armBudget(ms: number): void {
    this.#budgetTimer = setTimeout(
      () => {
        const { budgetMs, graceMs } = this.#setting.plan;
        const left = (budgetMs ?? 0) - this.#setting.ranMs - (performance.now() - this.#begunAt);
        if (left > 1) this.#armBudget(left);
        else this.#beginStop(graceMs, true);
      },
      Math.min(ms, 2 ** 31 - 1),
    );
  }

  #watchOutput(): void {
    try {
      this.#watcher = watch(join(this.#setting.stepDir, RAW_LOG), () => {
        this.#lookSoon(OUTPUT_PACE_MS);
      });
      this.#watcher.on('error', () => undefined);
    } catch {
      // Out of inotify watches.
    }
    // What came before the watch is told by no change after it.
    this.#lookSoon(OUTPUT_PACE_MS);
  }

  #lookSoon(ms: number): void {
    this.#outputTimer ??= setTimeout(() => {
      this.#outputTimer = null;
      if (this.#phase !== 'running') return;
      const bytes = rawSize(this.#setting.stepDir);
      if (bytes !== this.#toldBytes) this.#setting.events.onOutput?.();
      this.#toldBytes = bytes;
      if (this.#watcher === null) this.#lookSoon(OUTPUT_UNWATCHED_MS);
    }, ms);
  }

  #append(line: RecordLine): void {
    try {
      const stamped = JSON.stringify({ ...line, atMs: Date.now() });
      appendPlain(join(this.#setting.stepDir, 'record'), `${stamped}\n`);
    } catch {
      // A full disk: the outcome is still told, and a later adopt says lost.
    }
  }

  #release(): void {
    this.#watcher?.close();
    if (this.#outputTimer !== null) clearTimeout(this.#outputTimer);
    if (this.#budgetTimer !== null) clearTimeout(this.#budgetTimer);
  }
}

function isAlive(target: NamedTarget): boolean {
  return readProcess(target.main.pid)?.startTime === target.main.startTime;
}

/**
 * Whether the drain still reads. Asking also ends one whose main process never opened the pipe:
 * it waits for a writer, and this is one that closes at once.
 */
export function isDraining(stepDir: string): boolean {
  try {
    closeSync(openSync(join(stepDir, PIPE), constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch {
    return false; // ENXIO, ENOENT
  }
}

function touch(path: string): void {
  try {
    closeSync(openSync(path, 'a'));
  } catch {
    // A courtesy to the program; the signal is what counts.
  }
}
