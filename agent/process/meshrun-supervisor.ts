/**
 * The subreaper rung: every step under a meshrun of its own, made by one spawner.
 *
 * A start is permitted by a token, the file record.COOKIE, which meshrun renames to `record`
 * before anything runs. Whoever adopts a step removes tokens first, so after `not_started`
 * no earlier start can come, and the same folder may be started again (I8).
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errnoName } from './errno.ts';
import type { Log } from './log.ts';
import { closeLostStep, withLiving } from './lost-step.ts';
import { MeshrunStep } from './meshrun-step.ts';
import type { Spawner } from './spawner.ts';
import { type StartAnswer } from './spawner.ts';
import { startFrame } from './start-frame.ts';
import { outcomeOf } from './step-outcome.ts';
import { readRecord } from './step-record.ts';
import type { Adoption, StepEvents, StepHandle, StepSpec, Supervisor } from './types.ts';

const TRIES = 2;

interface Start {
  readonly stepDir: string;
  readonly spec: StepSpec;
  readonly step: MeshrunStep;
  readonly triesLeft: number;
}

export class MeshrunSupervisor implements Supervisor {
  readonly rung = 'subreaper';
  readonly degraded = null;
  readonly #spawner: Spawner;
  readonly #log: Log;
  readonly #steps = new Set<MeshrunStep>();
  #lastId = 0;

  constructor(spawner: Spawner, log: Log) {
    this.#spawner = spawner;
    this.#log = log;
  }

  start(stepDir: string, spec: StepSpec, events: StepEvents): StepHandle {
    const step = this.#stepOf(stepDir, events);
    this.#begin({ stepDir, spec, step, triesLeft: TRIES - 1 });
    return step;
  }

  async adopt(stepDir: string, events: StepEvents): Promise<Adoption> {
    removeTokens(stepDir);
    const before = readRecord(stepDir);
    if (before === null) return { kind: 'not_started' };
    if (before.gone === undefined) {
      const step = this.#stepOf(stepDir, events);
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
      removeFiles(stepDir, ['record', 'ctl', 'exit']); // it died before the gate was opened
      return { kind: 'not_started' };
    }
    return { kind: 'ended', outcome: await closeLostStep(stepDir, { ...record, started }) };
  }

  close(): void {
    for (const step of this.#steps) step.detach();
    this.#spawner.close();
  }

  #stepOf(stepDir: string, events: StepEvents): MeshrunStep {
    const step: MeshrunStep = new MeshrunStep(stepDir, {
      events,
      log: this.#log,
      onOver: () => this.#steps.delete(step),
    });
    this.#steps.add(step);
    return step;
  }

  #begin(start: Start): void {
    const { stepDir, spec, step } = start;
    const id = (this.#lastId += 1);
    const cookie = randomBytes(12).toString('hex');
    const frame = startFrame({ id, stepDir, cookie, spec });
    const refused = frame.kind === 'refused' ? frame : layToken(stepDir, cookie);
    if (refused !== null) {
      setImmediate(() => {
        step.onFailed(refused.errno, refused.message);
      });
    } else if (frame.kind === 'frame') {
      this.#spawner.request(id, frame.bytes, (answer) => {
        this.#onAnswer(start, answer);
      });
    }
  }

  #onAnswer(start: Start, answer: StartAnswer): void {
    const { stepDir, step } = start;
    switch (answer.kind) {
      case 'ready':
        step.onReady(answer.pid);
        return;
      case 'failed':
        removeTokens(stepDir);
        step.onFailed(
          errnoName(answer.errno),
          `meshrun could not start the step: ${answer.what}: ${errnoName(answer.errno)}`,
        );
        return;
      case 'undecided': {
        removeTokens(stepDir);
        const started = readRecord(stepDir)?.started;
        if (started !== undefined) step.onReady(started.pid);
        else if (start.triesLeft > 0) {
          removeFiles(stepDir, ['record', 'ctl', 'exit']);
          this.#begin({ ...start, triesLeft: start.triesLeft - 1 });
        } else step.onFailed('EIO', 'the meshrun spawner ended before the step began');
      }
    }
  }
}

interface Refusal {
  readonly errno: string;
  readonly message: string;
}

function layToken(stepDir: string, cookie: string): Refusal | null {
  try {
    if (existsSync(join(stepDir, 'record'))) {
      return { errno: 'EEXIST', message: `the step in ${stepDir} was started before` };
    }
    closeSync(openSync(join(stepDir, `record.${cookie}`), 'wx', 0o644));
    return null;
  } catch (error) {
    const { code = 'EIO', message } = error as NodeJS.ErrnoException;
    return { errno: code, message: `cannot write to the step's folder: ${message}` };
  }
}

/** No folder, no token: the agent ended between its journal entry and the folder. */
function removeTokens(stepDir: string): void {
  if (!existsSync(stepDir)) return;
  removeFiles(
    stepDir,
    readdirSync(stepDir).filter((name) => name.startsWith('record.')),
  );
}

function removeFiles(stepDir: string, names: readonly string[]): void {
  for (const name of names) {
    try {
      unlinkSync(join(stepDir, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
