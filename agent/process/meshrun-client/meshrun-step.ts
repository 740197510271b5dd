/**
 * One step under meshrun, as its owner sees it.
 *
 *   starting --ready--> following --gone recorded--> ended
 *      |                    |  \--EOF, no record--> sweeping --> ended (lost)
 *      |                    \--survivors recorded: onEnd, then following for onGone
 *      \--failed--> ended (exec_failed)            detach(): from any to detached
 *
 * 1. The record is the only source of what happened; FIFO and answers say when to look (I8). It and
 *    `ctl` are held open while the step runs, in case its own processes remove their folder; a record
 *    that is gone all the same makes the step `lost`, never one that was not started (I5).
 * 2. onEnd comes exactly once, unless detached before; no callback comes from within start,
 *    stop or detach.
 * 3. Commands go through the `ctl` FIFO, never by pid: without a reader it is over. A meshrun that
 *    was stopped by one of its own processes is continued, or it would never hear them.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Process } from './bind-frame.ts';
import { ExitFifo, type ExitFifoEvents } from './exit-fifo.ts';
import { LogSegments } from '../spool/log-segments.ts';
import { silent, type Log } from '../log.ts';
import { closeLostStep, endProcesses, NO_END, withoutRecord } from './lost-step.ts';
import { readProcess } from '../scan/proc-table.ts';
import { targetOf } from '../scan/scan-sweep.ts';
import { COOKIE_VARIABLE } from './start-frame.ts';
import { outcomeOf } from '../record/step-outcome.ts';
import { openRecord, parseRecord, readOpenRecord, type StepRecord } from '../record/step-record.ts';
import type { StepEvents, StepHandle, StepOutcome } from '../types.ts';

type Phase =
  | { readonly kind: 'starting'; readonly commands: string[] }
  | { readonly kind: 'following'; readonly fifo: ExitFifo; readonly ctl: number | null }
  | { readonly kind: 'sweeping' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'detached' };

export interface StepListener {
  readonly events: StepEvents;
  /** The handle will call nothing any more, since the step has ended or was detached. */
  readonly onOver: () => void;
  readonly log?: Log;
}

export class MeshrunStep implements StepHandle, ExitFifoEvents {
  readonly #stepDir: string;
  readonly #listener: StepListener;
  #phase: Phase = { kind: 'starting', commands: [] };
  #pid: number | null = null;
  #cookie = '';
  /** Open from the start on; null where there was none to open. */
  #record: number | null = null;
  #endTold = false;
  #adopted: Process | null = null;
  /** Lines that never reached the disk. */
  #lostLines: StepRecord = {};

  constructor(stepDir: string, listener: StepListener) {
    this.#stepDir = stepDir;
    this.#listener = listener;
  }

  get pid(): number | null {
    return this.#pid;
  }

  /** The meshrun of a step that an agent before us started; null for our own. */
  get adopted(): Process | null {
    return this.#adopted;
  }

  stop(options: { readonly graceMs?: number; readonly now?: boolean } = {}): void {
    const { graceMs, now } = options;
    const grace = graceMs === undefined ? 'stop' : `stop ${Math.max(0, Math.round(graceMs))}`;
    const command = `${now === true ? 'kill' : grace}\n`;
    if (this.#phase.kind === 'starting') this.#phase.commands.push(command);
    else if (this.#phase.kind === 'following') this.#command(command);
  }

  detach(): void {
    if (this.#phase.kind === 'detached') return;
    const over = this.#phase.kind === 'ended';
    this.#release();
    this.#phase = { kind: 'detached' };
    if (!over) this.#listener.onOver();
  }

  /** It was started by us: `started` is on disk. */
  onReady({ pid, cookie }: { readonly pid: number; readonly cookie: string }): void {
    if (this.#phase.kind !== 'starting') return;
    this.#pid = pid;
    this.#cookie = cookie;
    this.#record = openRecord(this.#stepDir);
    this.#listener.events.onStarted?.(pid);
    this.#follow();
  }

  /** It could not be started, and never will be. */
  onFailed(outcome: StepOutcome): void {
    if (this.#phase.kind === 'starting') this.#end(outcome);
  }

  /** It was started by an agent before us; false if its meshrun is gone. */
  attach(record: StepRecord): boolean {
    this.#pid = record.started?.pid ?? null;
    this.#cookie = record.started?.cookie ?? '';
    const { meshrun: pid, meshrunStartTime: startTime } = record.started ?? {};
    if (pid !== undefined && startTime !== undefined) this.#adopted = { pid, startTime };
    const fifo = ExitFifo.open(this.#stepDir, this);
    if (fifo === null) return false;
    this.#record = openRecord(this.#stepDir);
    this.#phase = { kind: 'following', fifo, ctl: this.#openCtl() };
    // What was recorded before we listened has no wake-up of its own any more.
    setImmediate(() => {
      this.onRecord();
    });
    return true;
  }

  /** @internal */
  onStarted(): void {
    if (this.#pid !== null || this.#phase.kind !== 'following') return;
    const pid = this.#read().started?.pid;
    if (pid === undefined) return;
    this.#pid = pid;
    this.#listener.events.onStarted?.(pid);
  }

  /** @internal */
  onOutput(): void {
    if (this.#phase.kind === 'following' && !this.#endTold) this.#listener.events.onOutput?.();
  }

  /** @internal */
  onLostLine(line: string): void {
    this.#lostLines = { ...this.#lostLines, ...parseRecord(`${line}\n`) };
    this.#listener.log?.('error', 'a record line could not be written', { line });
  }

  /** @internal */
  onRecord(): void {
    if (this.#phase.kind !== 'following') return;
    const record = this.#read();
    const outcome = outcomeOf(record);
    if (outcome === null) return;
    if (record.gone !== undefined) this.#end(outcome);
    else if (!this.#endTold) {
      this.#endTold = true;
      const logBytes = new LogSegments(this.#stepDir).extent();
      this.#listener.events.onEnd({ ...outcome, logBytes });
    }
  }

  /** @internal */
  onGone(): void {
    this.onRecord();
    if (this.#phase.kind === 'following') this.#sweep();
  }

  #follow(): void {
    const commands = this.#phase.kind === 'starting' ? this.#phase.commands : [];
    const fifo = ExitFifo.open(this.#stepDir, this);
    if (fifo === null) {
      const record = this.#read();
      const outcome = record.gone === undefined ? null : outcomeOf(record);
      if (outcome !== null) this.#end(outcome);
      else this.#sweep();
      return;
    }
    this.#phase = { kind: 'following', fifo, ctl: this.#openCtl() };
    for (const command of commands) this.#command(command);
  }

  /** Null where nobody reads it: it is over, and its end is on the way. */
  #openCtl(): number | null {
    try {
      return openSync(join(this.#stepDir, 'ctl'), constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      return null; // ENXIO, ENOENT
    }
  }

  #command(command: string): void {
    const ctl = this.#phase.kind === 'following' ? this.#phase.ctl : null;
    try {
      if (ctl === null) throw new Error('nobody reads it');
      writeSync(ctl, command);
    } catch (error) {
      // EPIPE: as above. EAGAIN: it has commands enough.
      (this.#listener.log ?? silent)('debug', 'no meshrun to command', {
        command: command.trim(),
        error: (error as Error).message,
      });
      if (ctl === null) this.#endUnheard();
    }
    this.#rouse();
  }

  /** The FIFO was removed: its processes are killed as they are found; a meshrun that lives tells. */
  #endUnheard(): void {
    const { started } = this.#read();
    if (this.#phase.kind !== 'following' || started === undefined) return;
    void endProcesses(targetOf(started), started.cgroup);
  }

  /** Continues a meshrun that is stopped. A later process of its pid is younger than the step. */
  #rouse(): void {
    const { started } = this.#read();
    const row = started?.meshrun === undefined ? null : readProcess(started.meshrun);
    if (started === undefined || row?.state !== 'T' || row.startTime > started.startTime) return;
    try {
      process.kill(row.pid, 'SIGCONT');
      this.#listener.log?.('warn', 'meshrun was stopped and is continued', { pid: row.pid });
    } catch {
      // Gone in between.
    }
  }

  #read(): StepRecord {
    const record = this.#record === null ? {} : readOpenRecord(this.#record);
    return { ...record, ...this.#lostLines };
  }

  #sweep(): void {
    const record = this.#read();
    this.#release();
    this.#phase = { kind: 'sweeping' };
    const { started } = record;
    const lost =
      started === undefined
        ? withoutRecord({
            pid: this.#pid,
            variable: { name: COOKIE_VARIABLE, value: this.#cookie },
          })
        : { record, target: targetOf(started), reason: NO_END };
    void closeLostStep(this.#stepDir, lost).then((outcome) => {
      if (this.#phase.kind === 'sweeping') this.#end(outcome);
    });
  }

  #release(): void {
    if (this.#phase.kind === 'following') {
      this.#phase.fifo.close();
      if (this.#phase.ctl !== null) closeSync(this.#phase.ctl);
    }
    if (this.#record !== null) closeSync(this.#record);
    this.#record = null;
  }

  #end(outcome: StepOutcome): void {
    this.#release();
    this.#phase = { kind: 'ended' };
    this.#listener.onOver();
    if (this.#endTold) this.#listener.events.onGone?.(outcome);
    else {
      this.#endTold = true;
      this.#listener.events.onEnd(outcome);
    }
  }
}
