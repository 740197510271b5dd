/** Keeps the agent and its helpers where own-cpus.ts says, as attempts are bound and end. */
import { MeshError } from '#protocol/messages/errors.ts';
import type { Supervisor } from '../process/types.ts';
import type { CpuLayout } from './cpu-policy.ts';
import { readUsableCpus } from './cpu-layout.ts';
import { ownCpus, reservedOf } from './own-cpus.ts';

export interface CpuKeeperOptions {
  /** All CPUs of this process, its own among them. */
  readonly layout: CpuLayout;
  readonly reserved: readonly number[];
  readonly supervisor: Pick<Supervisor, 'bind'>;
}

export class CpuKeeper {
  readonly #options: CpuKeeperOptions;
  #own: string;

  constructor(options: CpuKeeperOptions) {
    this.#options = options;
    const { layout, reserved, supervisor } = options;
    const all = layout.cpus.map(({ cpu }) => cpu);
    this.#own = String(all);
    if (reserved.length > 0)
      supervisor.bind({ own: reserved, steps: all.filter((cpu) => !reserved.includes(cpu)) });
  }

  /** These are bound to attempts now, and no others. */
  onPinned(pinned: readonly number[]): void {
    const { layout, reserved, supervisor } = this.#options;
    if (reserved.length > 0) return;
    const own = ownCpus(layout, new Set(pinned));
    if (String(own) === this.#own) return;
    this.#own = String(own);
    const all = layout.cpus.map(({ cpu }) => cpu);
    supervisor.bind({ own, steps: own.length === all.length ? null : all });
  }
}

/** The CPUs of a list for the agent alone; none for null. Throws `config_invalid`. */
export function reservedCpus(list: string | null): readonly number[] {
  if (list === null) return [];
  const usable = readUsableCpus();
  if (usable === null) {
    throw new MeshError(
      'config_invalid',
      'reservedCpus: /proc/self/status does not tell which CPUs there are',
    );
  }
  const reserved = reservedOf(list, usable);
  if (reserved.kind === 'wrong')
    throw new MeshError('config_invalid', `reservedCpus ${reserved.reason}`);
  return reserved.cpus;
}
