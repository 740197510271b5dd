/**
 * Gangs whose ranks begin in steps: a stage opens when every rank of the one before has told what it measured
 * or has exited, with more ranks; no rank begins before its stage; nothing opens after the end of the ramp.
 */
import { RAMP_STEP } from '#protocol/messages/attempt/ramp.ts';
import type { Message } from '#protocol/messages/envelope.ts';

interface RampSeen {
  /** By barrier that was opened for all. */
  readonly opened: Set<string>;
  stage: number;
  /** That have been let go. */
  ranks: number;
  isOver: boolean;
  /** By agent: the last stage that it has told of. */
  readonly told: Map<string, number>;
  readonly exited: Set<string>;
}

export class RampChecks {
  readonly #note: (text: string) => void;
  readonly #ramps = new Map<string, RampSeen>();

  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  onEvent(attempt: string, agent: string, { name, data }: Message): void {
    const ramp = this.#of(attempt);
    if (name === 'attempt.exited') ramp.exited.add(agent);
    if (name !== 'attempt.stage_measured') return;
    if (data.stage > ramp.stage)
      this.#note(`${attempt}: ${agent} tells of a stage that is not open`);
    if ((ramp.told.get(agent) ?? 0) >= data.stage)
      this.#note(`${attempt}: ${agent} tells twice of stage ${data.stage}`);
    ramp.told.set(agent, data.stage);
  }

  /** `agents`: by rank. */
  onSaid(attempt: string, agents: ReadonlyMap<number, string>, { name, data }: Message): void {
    const ramp = this.#of(attempt);
    if (name === 'task.barrier_opened') ramp.opened.add(data.barrier);
    if (name === 'task.ramp_ended') ramp.isOver = true;
    // Stored twice in doubt it says nothing new.
    if (name !== 'task.stage_opened' || data.stage === ramp.stage) return;
    if (ramp.isOver) this.#note(`${attempt}: stage ${data.stage} opens after the end of the ramp`);
    if (data.stage !== ramp.stage + 1 || data.ranks <= ramp.ranks)
      this.#note(
        `${attempt}: stage ${data.stage} of ${data.ranks} follows ${ramp.stage} of ${ramp.ranks}`,
      );
    for (let rank = 0; rank < ramp.ranks; rank += 1) {
      const agent = agents.get(rank) ?? '';
      const isDone = (ramp.told.get(agent) ?? 0) >= ramp.stage || ramp.exited.has(agent);
      if (!isDone) this.#note(`${attempt}: rank ${rank} has not measured stage ${ramp.stage}`);
    }
    ramp.stage = data.stage;
    ramp.ranks = data.ranks;
  }

  onBegun(attempt: string, rank: number, barrier: string): void {
    const ramp = this.#of(attempt);
    if (ramp.opened.has(barrier)) return;
    if (barrier !== RAMP_STEP || rank >= ramp.ranks)
      this.#note(`rank ${rank} of ${attempt} begins ${barrier}, and nobody let it go`);
  }

  #of(attempt: string): RampSeen {
    const known = this.#ramps.get(attempt) ?? {
      ...{ opened: new Set<string>(), stage: 0, ranks: 0, isOver: false },
      ...{ told: new Map<string, number>(), exited: new Set<string>() },
    };
    this.#ramps.set(attempt, known);
    return known;
  }
}
