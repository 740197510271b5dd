/**
 * One step under meshrun, as its owner sees it.
 *
 *   starting --ready--> following --gone recorded--> ended
 *      |                    |  \--EOF, no record--> sweeping --> ended (lost)
 *      |                    \--survivors recorded: onEnd, then following for onGone
 *      \--failed--> ended (exec_failed)            detach(): from any to detached
 *
 * 1. The record on disk is the only source of what happened; FIFO and answers say when to
 *    look (I8).
 * 2. onEnd comes exactly once, unless detached before; no callback comes from within start,
 *    stop or detach.
 * 3. Commands go through the `ctl` FIFO, never by pid: without a reader it is over.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ExitFifo, type ExitFifoEvents } from './exit-fifo.ts';
import { LogSegments } from './log-segments.ts';
import { silent, type Log } from './log.ts';
import { closeLostStep } from './lost-step.ts';
import { notStartedOutcome, outcomeOf } from './step-outcome.ts';
import { parseRecord, readRecord, type Started, type StepRecord } from './step-record.ts';
import type { StepEvents, StepHandle, StepOutcome } from './types.ts';

type Phase =
  | { readonly kind: 'starting'; readonly commands: string[] }
  | { readonly kind: 'following'; readonly fifo: ExitFifo }
  | { readonly kind: 'sweeping' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'detached' };

export interface StepListener {
  readonly events: StepEvents;
  /** The handle will call nothing any more. */
  readonly onOver: () => void;
  readonly log?: Log;
}

export class MeshrunStep implements StepHandle, ExitFifoEvents {
  readonly #stepDir: string;
  readonly #listener: StepListener;
  #phase: Phase = { kind: 'starting', commands: [] };
  #pid: number | null = null;
  #endTold = false;
  /** Lines that never reached the disk. */
  #lostLines: StepRecord = {};

  constructor(stepDir: string, listener: StepListener) {
    this.#stepDir = stepDir;
    this.#listener = listener;
  }

  get pid(): number | null {
    return this.#pid;
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
    if (this.#phase.kind === 'following') this.#phase.fifo.close();
    const over = this.#phase.kind === 'ended';
    this.#phase = { kind: 'detached' };
    if (!over) this.#listener.onOver();
  }

  /** It was started by us: `started` is on disk. */
  onReady(pid: number): void {
    if (this.#phase.kind !== 'starting') return;
    this.#pid = pid;
    this.#listener.events.onStarted?.(pid);
    this.#follow();
  }

  /** It could not be started, and never will be. */
  onFailed(errno: string, message: string): void {
    if (this.#phase.kind !== 'starting') return;
    this.#end(notStartedOutcome(errno, 'supervision', message));
  }

  /** It was started by an agent before us; false if its meshrun is gone. */
  attach(record: StepRecord): boolean {
    this.#pid = record.started?.pid ?? null;
    const fifo = ExitFifo.open(this.#stepDir, this);
    if (fifo === null) return false;
    this.#phase = { kind: 'following', fifo };
    // What was recorded before we listened has no wake-up of its own any more.
    setImmediate(() => {
      this.onRecord();
    });
    return true;
  }

  /** @internal */
  onStarted(): void {
    if (this.#pid !== null || this.#phase.kind !== 'following') return;
    const pid = this.#read()?.started?.pid;
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
    const outcome = record === null ? null : outcomeOf(record);
    if (outcome === null) return;
    if (record?.gone !== undefined) {
      this.#phase.fifo.close();
      this.#end(outcome);
    } else if (!this.#endTold) {
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
      const outcome = record?.gone === undefined ? null : outcomeOf(record);
      if (outcome !== null) this.#end(outcome);
      else this.#sweep();
      return;
    }
    this.#phase = { kind: 'following', fifo };
    for (const command of commands) this.#command(command);
  }

  #command(command: string): void {
    try {
      const fd = openSync(join(this.#stepDir, 'ctl'), constants.O_WRONLY | constants.O_NONBLOCK);
      try {
        writeSync(fd, command);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      // ENXIO, ENOENT: it is over, and its end is on the way.
      (this.#listener.log ?? silent)('debug', 'no meshrun to command', {
        command: command.trim(),
        error: (error as Error).message,
      });
    }
  }

  #read(): StepRecord | null {
    const record = readRecord(this.#stepDir);
    return record === null ? null : { ...record, ...this.#lostLines };
  }

  #sweep(): void {
    this.#phase = { kind: 'sweeping' };
    const record = this.#read();
    const started: Started | undefined = record?.started;
    if (record === null || started === undefined) {
      this.#end(notStartedOutcome('EIO', 'supervision', 'meshrun ended before it began the step'));
      return;
    }
    void closeLostStep(this.#stepDir, { ...record, started }).then((outcome) => {
      if (this.#phase.kind === 'sweeping') this.#end(outcome);
    });
  }

  #end(outcome: StepOutcome): void {
    this.#phase = { kind: 'ended' };
    this.#listener.onOver();
    if (this.#endTold) this.#listener.events.onGone?.(outcome);
    else {
      this.#endTold = true;
      this.#listener.events.onEnd(outcome);
    }
  }
}
