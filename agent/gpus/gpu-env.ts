/**
 * How the processes of an attempt are told which GPUs are theirs. Pure.
 *
 * A task that says nothing of GPUs is told nothing. One that asks for none (`gpus: 0`) sees none, and
 * one that has some sees them alone, in the order of their indexes, whatever the vendor's library
 * would list first.
 */
import type { AssignedGpu } from '#protocol/messages/agent/resources.ts';

type Env = Readonly<Record<string, string>>;

const NONE: Env = {
  CUDA_VISIBLE_DEVICES: '',
  // For container runtimes: no device and no driver.
  NVIDIA_VISIBLE_DEVICES: 'void',
  ROCR_VISIBLE_DEVICES: '',
  HIP_VISIBLE_DEVICES: '-1',
};

/** `gpus` null: the task says nothing of them. */
export function gpuEnv(gpus: readonly AssignedGpu[] | null): Env {
  if (gpus === null) return {};
  const ids = gpus.map(({ uuid, id }) => uuid ?? id).join(',');
  switch (gpus[0]?.vendor) {
    case undefined:
      return NONE;
    case 'nvidia':
      return {
        ...NONE,
        CUDA_VISIBLE_DEVICES: ids,
        NVIDIA_VISIBLE_DEVICES: ids,
        BENCHMESH_GPUS: ids,
      };
    case 'amd':
      return {
        ...NONE,
        ROCR_VISIBLE_DEVICES: gpus.map(rocrName).join(','),
        // Counted among those that ROCR leaves.
        HIP_VISIBLE_DEVICES: gpus.map((_, place) => place).join(','),
        BENCHMESH_GPUS: ids,
      };
  }
}

/** ROCr knows `GPU-` and the unique id, or the index where the card has none. */
function rocrName({ uuid, index }: AssignedGpu): string {
  return uuid === null ? String(index ?? 0) : uuid.replace(/^AMD-/, 'GPU-');
}
