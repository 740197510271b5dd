/** Supervision on a simulated host, as an agent sees it. */
import type {
  Adoption,
  StepEvents,
  StepHandle,
  StepSpec,
  Supervisor,
} from '#agent/process/types.ts';
import type { Machine } from './machine.ts';
import type { Taps } from '../mesh/mesh.ts';
import { Step } from './step.ts';

export function simSupervisor(machine: Machine, taps: Pick<Taps, 'onAdopt'>): Supervisor {
  const { world } = machine;
  let isClosed = false;
  const listening = new Set<Step>();
  /** Over: the next that begins may have their folders. */
  const spare: string[] = [];

  const handleOf = (step: Step | null): StepHandle => ({
    get pid() {
      return step?.pid ?? null;
    },
    stop: ({ graceMs, now } = {}) => {
      if (step === null || world.touch() === 'dead') return;
      step.stop(now === true ? 0 : (graceMs ?? step.spec.graceMs));
    },
    detach: () => {
      if (step === null) return;
      listening.delete(step);
      step.listen(null);
    },
  });

  const follow = (step: Step, events: StepEvents): StepHandle => {
    step.listen(events);
    listening.add(step);
    return handleOf(step);
  };

  return {
    rung: 'subreaper',
    degraded: null,
    makeFolder: () => {
      const dir = spare.shift();
      if (dir !== undefined && world.touch() !== 'dead') machine.steps.delete(dir);
    },
    releaseFolder: (dir) => {
      spare.push(dir);
    },
    start: (dir: string, spec: StepSpec, events: StepEvents) => {
      if (isClosed || world.touch() === 'dead') return handleOf(null);
      const before = machine.steps.get(dir);
      const step = new Step(machine, dir, spec);
      step.begun = before?.begun ?? 0;
      machine.steps.set(dir, step);
      const handle = follow(step, events);
      machine.hooks.onAsked(machine, step);
      step.ask();
      return handle;
    },
    adopt: (dir, events) =>
      new Promise<Adoption>((done) => {
        const resolve = (found: Adoption): void => {
          done(taps.onAdopt?.(found) ?? found);
        };
        const look = (): void => {
          const step = machine.steps.get(dir);
          if (step === undefined || step.phase === 'never') resolve({ kind: 'not_started' });
          else if (step.phase === 'asked') world.after(2, look);
          else if (step.phase === 'ended' && step.survivors.length > 0 && step.outcome !== null) {
            // It has an outcome, and somebody to tell of: as meshrun, which lives until they are gone.
            const { outcome } = step;
            const handle = follow(step, events);
            resolve({ kind: 'alive', handle });
            world.after(1, () => {
              events.onEnd(outcome);
            });
          } else if (step.phase === 'ended' && step.outcome !== null)
            resolve({ kind: 'ended', outcome: step.outcome });
          else resolve({ kind: 'alive', handle: follow(step, events) });
        };
        world.after(world.between(0.1, 5), look);
      }),
    bind: () => undefined,
    close: () => {
      isClosed = true;
      for (const step of listening) step.listen(null);
    },
  };
}
