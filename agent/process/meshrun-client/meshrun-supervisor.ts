/**
 * The cgroup and the subreaper rung: every step under a meshrun of its own, made by one spawner, and
 * on the cgroup rung in a cgroup of its own, which meshrun makes and removes.
 *
 * A start is permitted by a token, the file record.COOKIE, which meshrun renames to `record`
 * before anything runs. Whoever adopts a step removes tokens first, so after `not_started`
 * no earlier start can come, and the same folder may be started again (I8).
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupRoot } from '../cgroup/cgroup-root.ts';
import { noRoomText } from '../disk-room.ts';
import { errnoName, isFull } from '../record/errno.ts';
import { FIFOS } from './exit-fifo.ts';
import type { Log } from '../log.ts';
import { MeshrunAdopter, removeFiles, removeTokens } from './meshrun-adopter.ts';
import type { MeshrunStep } from './meshrun-step.ts';
import type { Spawner } from './spawner.ts';
import { type StartAnswer } from './spawner.ts';
import { bindFrame, type Process } from './bind-frame.ts';
import { startFrame } from './start-frame.ts';
import type { LimitPowers } from '../step-limits.ts';
import { StepFolders } from '../record/step-folders.ts';
import { notStartedOutcome, startedBeforeOutcome } from '../record/step-outcome.ts';
import { readRecord } from '../record/step-record.ts';
import { readProcess } from '../scan/proc-table.ts';
import type {
  Adoption,
  Binding,
  KnownStart,
  StepEvents,
  StepHandle,
  StepOutcome,
  StepSpec,
  Supervisor,
} from '../types.ts';

const TRIES = 2;

interface Start {
  readonly stepDir: string;
  readonly spec: StepSpec;
  readonly step: MeshrunStep;
  readonly triesLeft: number;
}

export class MeshrunSupervisor implements Supervisor {
  readonly rung: 'cgroup' | 'subreaper';
  readonly degraded: string | null;
  readonly #root: CgroupRoot | null;
  readonly #powers: LimitPowers;
  readonly #log: Log;
  readonly #spawner: Spawner;
  readonly #adopter: MeshrunAdopter;
  readonly #folders = new StepFolders();
  #lastId = 0;
  #binding: Binding | null = null;

  /** `place`: where its steps get their cgroups, or why they get none. */
  constructor(spawner: Spawner, place: CgroupRoot | string, log: Log) {
    const root = typeof place === 'string' ? null : place;
    this.rung = root === null ? 'subreaper' : 'cgroup';
    this.degraded = typeof place === 'string' ? place : null;
    this.#root = root;
    this.#powers = {
      controllers: root?.controllers.given ?? [],
      missing: root === null ? this.degraded : root.controllers.missing,
      uid: process.getuid?.() ?? 0,
    };
    this.#log = log;
    this.#spawner = spawner;
    this.#adopter = new MeshrunAdopter(log);
  }

  makeFolder(stepDir: string): void {
    this.#folders.make(stepDir);
  }

  releaseFolder(stepDir: string): void {
    this.#folders.give(stepDir);
  }

  start(stepDir: string, spec: StepSpec, events: StepEvents): StepHandle {
    const step = this.#adopter.follow(stepDir, events);
    this.#begin({ stepDir, spec, step, triesLeft: TRIES - 1 });
    return step;
  }

  async adopt(stepDir: string, events: StepEvents, known?: KnownStart): Promise<Adoption> {
    const adoption = await this.#adopter.adopt(stepDir, events, known);

    if (adoption.kind === 'alive' && this.#binding !== null) this.bind(this.#binding);
    return adoption;
  }

  bind(binding: Binding): void {
    this.#binding = binding;
    const self = readProcess(process.pid);
    const processes: Process[] = [...(self === null ? [] : [self]), ...this.#adopter.meshruns()];
    const id = (this.#lastId += 1);
    this.#spawner.bind(id, bindFrame(id, binding.own, processes), (failure) => {
      if (failure === null) return;
      const error = errnoName(failure.errno);
      this.#log('warn', 'the agent cannot be bound to its CPUs', { ...binding, error });
    });
  }

  close(): void {
    this.#adopter.close();
    this.#spawner.close(() => this.#root?.close());
  }

  #begin(start: Start): void {
    const { stepDir, spec, step } = start;
    const id = (this.#lastId += 1);
    const cookie = randomBytes(12).toString('hex');
    const cgroup = this.#root?.base ?? null;
    const powers = this.#powers;
    const unbound = this.#binding?.steps ?? null;
    const frame = startFrame({ id, stepDir, cookie, spec, cgroup, powers, unbound });
    const refused =
      frame.kind === 'refused'
        ? failed(frame.errno, frame.message)
        : this.#layToken(stepDir, cookie);
    if (refused !== null) {
      this.#folders.forget(stepDir);
      setImmediate(() => {
        step.onFailed(refused);
      });
    } else if (frame.kind === 'frame') {
      this.#spawner.request(id, frame.bytes, (answer) => {
        this.#onAnswer(start, { answer, cookie });
      });
    }
  }

  #onAnswer(start: Start, heard: { answer: StartAnswer; cookie: string }): void {
    const { stepDir, step } = start;
    const { answer, cookie } = heard;
    switch (answer.kind) {
      case 'ready':
        if (this.#root !== null && !answer.isInCgroup) {
          this.#log('warn', 'a step could get no cgroup and is on the subreaper rung', { stepDir });
        }
        step.onReady({ pid: answer.pid, cookie });
        return;
      case 'failed':
        removeTokens(stepDir);
        step.onFailed(failed(errnoName(answer.errno), startFailure(stepDir, answer)));
        return;
      case 'undecided': {
        removeTokens(stepDir);
        const started = readRecord(stepDir)?.started;
        if (started !== undefined) step.onReady({ pid: started.pid, cookie });
        else if (start.triesLeft > 0) {
          removeFiles(stepDir, ['record', ...FIFOS]);
          this.#begin({ ...start, triesLeft: start.triesLeft - 1 });
        } else step.onFailed(failed('EIO', 'the meshrun spawner ended before the step began'));
      }
    }
  }

  /** Null where it lies there. */
  #layToken(stepDir: string, cookie: string): StepOutcome | null {
    try {
      if (existsSync(join(stepDir, 'record')))
        return startedBeforeOutcome(`the step in ${stepDir} was started before`);
      this.#folders.layFile(stepDir, `record.${cookie}`);
      return null;
    } catch (error) {
      const { code = 'EIO', message } = error as NodeJS.ErrnoException;
      const why = isFull(code) ? noRoomText(stepDir) : message;
      return failed(code, `cannot write to the step's folder: ${why}`);
    }
  }
}

function failed(errno: string, message: string): StepOutcome {
  return notStartedOutcome(errno, 'supervision', message);
}

function startFailure(
  stepDir: string,
  { errno, what }: Extract<StartAnswer, { kind: 'failed' }>,
): string {
  const name = errnoName(errno);
  const why = isFull(name) ? `${name}: ${noRoomText(stepDir)}` : name;
  return `meshrun could not start the step: ${what}: ${why}`;
}
