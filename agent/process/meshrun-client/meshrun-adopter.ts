/**
 * Takes up steps that a meshrun runs, or ran, for an agent before us. It needs no spawner: an agent
 * on another rung takes them up too.
 */
import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Process } from './bind-frame.ts';
import { FIFOS } from './exit-fifo.ts';
import type { Log } from '../log.ts';
import { closeLostStep, NO_END, withLiving, withoutRecordSince } from './lost-step.ts';
import { MeshrunStep } from './meshrun-step.ts';
import { targetOf } from '../scan/scan-sweep.ts';
import { outcomeOf } from '../record/step-outcome.ts';
import { readRecord } from '../record/step-record.ts';
import type { Adopter, Adoption, KnownStart, StepEvents } from '../types.ts';

export class MeshrunAdopter implements Adopter {
  readonly #log: Log;
  readonly #steps = new Set<MeshrunStep>();

  constructor(log: Log) {
    this.#log = log;
  }

  async adopt(stepDir: string, events: StepEvents, known?: KnownStart): Promise<Adoption> {
    removeTokens(stepDir);
    const before = readRecord(stepDir);
    // There may be one of another step, after a power cut (step-record.ts).
    if (before === null) removeFiles(stepDir, ['record']);
    if (before?.started === undefined && known !== undefined) {
      return { kind: 'ended', outcome: await closeLostStep(stepDir, withoutRecordSince(known)) };
    }
    if (before === null) return { kind: 'not_started' };
    if (before.gone === undefined) {
      const step = this.follow(stepDir, events);
      if (step.attach(before)) return { kind: 'alive', handle: step };
      this.#steps.delete(step);
    }
    // Its meshrun is gone: what the record says now it will always say.
    const record = readRecord(stepDir) ?? before;
    if (record.gone !== undefined) {
      const outcome = outcomeOf(record);
      if (outcome !== null) return { kind: 'ended', outcome: withLiving(outcome, record) };
    }
    const { started } = record;
    if (started === undefined) {
      removeFiles(stepDir, ['record', ...FIFOS]); // it died before the gate was opened
      return { kind: 'not_started' };
    }
    const lost = { record, target: targetOf(started), reason: NO_END };
    return { kind: 'ended', outcome: await closeLostStep(stepDir, lost) };
  }

  /** Of the steps an agent before us started. */
  meshruns(): Process[] {
    return [...this.#steps].flatMap(({ adopted }) => adopted ?? []);
  }

  /** A step that is let go of when it is over, or at close(). */
  follow(stepDir: string, events: StepEvents): MeshrunStep {
    const step: MeshrunStep = new MeshrunStep(stepDir, {
      events,
      log: this.#log,
      onOver: () => {
        this.#steps.delete(step);
      },
    });
    this.#steps.add(step);
    return step;
  }

  close(): void {
    for (const step of this.#steps) step.detach();
  }
}

/** No folder, no token: the agent ended between its journal entry and the folder. */
export function removeTokens(stepDir: string): void {
  if (!existsSync(stepDir)) return;
  removeFiles(
    stepDir,
    readdirSync(stepDir).filter((name) => name.startsWith('record.')),
  );
}

export function removeFiles(stepDir: string, names: readonly string[]): void {
  for (const name of names) {
    try {
      unlinkSync(join(stepDir, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
