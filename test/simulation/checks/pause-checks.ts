/** What is paused does not start before a resume that knows of the pause. */
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { StopCommand } from '#protocol/messages/run/command.ts';
import type { RunResumed } from '#protocol/messages/run/run.ts';
import type { StopSeen } from './seen.ts';

/** Newest place among the commands, by `run` and by `run/task`. */
type Newest = Map<string, number>;

export class PauseChecks {
  readonly #note: (text: string) => void;
  /** Ascending. */
  readonly #pauses = new Map<string, number[]>();
  readonly #resumed: Newest = new Map();

  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  /** What makes room, or is requeued, goes on as soon as it can. */
  onStop({ run, task, sequence, isPause }: StopSeen, { preemptedBy, requeue }: StopCommand): void {
    if (!isPause || preemptedBy !== undefined || requeue === true) return;
    const target = targetOf(run, task);
    this.#pauses.set(target, [...(this.#pauses.get(target) ?? []), sequence]);
  }

  onResumed(run: string, { task, throughSequence }: RunResumed): void {
    const target = targetOf(run, task);
    this.#resumed.set(target, Math.max(this.#resumed.get(target) ?? 0, throughSequence));
  }

  /** `afterStop`: what its writer knew of; of a pause after that its agent knows. */
  onStart(key: string, { run, task }: Pick<AttemptSpec, 'run' | 'task'>, afterStop: number): void {
    const targets = [targetOf(run, null), targetOf(run, task)];
    const known = Math.max(0, ...targets.map((target) => this.#resumed.get(target) ?? 0));
    const paused = targets
      .flatMap((target) => this.#pauses.get(target) ?? [])
      .find((sequence) => sequence > known && sequence <= afterStop);
    if (paused !== undefined)
      this.#note(`${key} starts although it was paused by command ${paused}, and not resumed`);
  }
}

function targetOf(run: string, task: string | null): string {
  return task === null ? run : `${run}/${task}`;
}
