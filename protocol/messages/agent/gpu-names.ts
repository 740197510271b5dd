/** What a GPU is called in a reason: as short as it can be and still be told from the others of its host. */
import type { Gpu } from './hardware.ts';

type Named = Pick<Gpu, 'id' | 'index' | 'kind'>;

/** A vendor's prefix and the first group of its UUID; a whole place on the PCI bus. */
const START = 12;

/**
 * `GPU 0`; `GPU 0 (GPU-1a2b3c4d)` where another of `all` has its number too, as one that is gone and its
 * successor, or MIG devices of several GPUs; by its id where it has no number.
 */
export function shortGpuName(gpu: Named, all: readonly Named[]): string {
  const word = gpu.kind === 'mig' ? 'MIG device' : 'GPU';
  if (gpu.index === null) return `${word} ${gpu.id}`;
  const alike = all.filter(
    ({ id, index, kind }) => id !== gpu.id && index === gpu.index && kind === gpu.kind,
  );
  if (alike.length === 0) return `${word} ${gpu.index}`;
  const start = gpu.id.slice(0, START);
  const told = alike.some(({ id }) => id.startsWith(start)) ? gpu.id : start;
  return `${word} ${gpu.index} (${told})`;
}
