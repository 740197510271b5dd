/** How busy the hosts were while attempts of the run ran, by the telemetry of those that have ended. Pure. */
import { everyoneOf } from '../gang-fold.ts';
import type { RunFold } from '../run-fold.ts';
import { acceptedAttempts } from '../task-attempts.ts';

export interface HostUse {
  /** Of all CPUs of a host, 0 to 1: the mean over the time that was measured. */
  readonly cpu: number | null;
  /** Of the GPUs that the attempts had, each alike. */
  readonly gpu: number | null;
  /** Time of attempts of which there are such values, together; 0 where nothing was measured. */
  readonly measuredMs: number;
}

export function hostUseOf({ tasks }: Pick<RunFold, 'tasks'>): HostUse {
  const [cpu, gpu] = [new Mean(), new Mean()];
  let measuredMs = 0;
  for (const task of tasks.values()) {
    for (const { exited } of acceptedAttempts(task).flatMap(everyoneOf)) {
      const telemetry = exited?.telemetry;
      if (telemetry === undefined) continue;
      let hasAny = false;
      for (const [name, { mean, count }] of Object.entries(telemetry.series)) {
        const weight = count * telemetry.everyMs;
        if (name === 'host.cpu.busy') cpu.add(mean, weight);
        else if (isGpuUse(name)) gpu.add(mean / 100, weight);
        else continue;
        hasAny = true;
      }
      if (hasAny) measuredMs += telemetry.coveredMs;
    }
  }
  return { cpu: cpu.value(), gpu: gpu.value(), measuredMs };
}

function isGpuUse(name: string): boolean {
  if (!name.startsWith('gpu.') || name.endsWith('.memory.utilisation')) return false;
  return name.endsWith('.utilisation');
}

class Mean {
  #sum = 0;
  #weight = 0;

  add(value: number, weight: number): void {
    this.#sum += value * weight;
    this.#weight += weight;
  }

  value(): number | null {
    return this.#weight === 0 ? null : Math.min(1, this.#sum / this.#weight);
  }
}
