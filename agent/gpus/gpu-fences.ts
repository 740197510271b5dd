/**
 * The fences of this host's GPUs, kept from look to look. What a look says against a GPU stands until the
 * next one; what survivors say changes with the attempts.
 */
import type { Gpu, Hardware } from '#protocol/messages/agent/hardware.ts';
import {
  fenced,
  survivorTrouble,
  troubleOf,
  type Claims,
  type Holder,
  type Trouble,
} from './fence-policy.ts';

export class GpuFences {
  #found: Hardware | null = null;
  #troubles: ReadonlyMap<string, Trouble> = new Map();
  #known: ReadonlyMap<string, Gpu> = new Map();

  /** What was found, with its fences. */
  onLook(found: Hardware, claims: Claims, now: string): Hardware {
    this.#found = found;
    this.#troubles = new Map(
      found.gpus.flatMap((gpu) => {
        const trouble = troubleOf(gpu, claims);
        return trouble === null ? [] : [[gpu.id, trouble] as const];
      }),
    );
    return this.#dressed(found, claims.holderOf, now);
  }

  /** The same for what was found last, as attempts began and ended since; null before a look. */
  review(holderOf: (gpu: string) => Holder | null, now: string): Hardware | null {
    return this.#found === null ? null : this.#dressed(this.#found, holderOf, now);
  }

  #dressed(found: Hardware, holderOf: (gpu: string) => Holder | null, now: string): Hardware {
    const gpus = found.gpus.map((gpu) => {
      const trouble = survivorTrouble(holderOf(gpu.id)) ?? this.#troubles.get(gpu.id) ?? null;
      return fenced(gpu, trouble, { before: this.#known.get(gpu.id), now });
    });
    this.#known = new Map(gpus.map((gpu) => [gpu.id, gpu]));
    return { ...found, gpus };
  }
}
