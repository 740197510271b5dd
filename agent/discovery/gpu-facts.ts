/** What every source of GPUs shares. Pure. */
import type { Gpu, GpuProbe } from '#protocol/messages/agent/hardware.ts';

export type Vendor = Gpu['vendor'];

/** What asking one vendor's tool came to. */
export interface VendorGpus {
  readonly probe: GpuProbe;
  readonly gpus: readonly Gpu[];
}

/** A GPU of which nothing is known but that it is there. */
export function blankGpu(vendor: Vendor, id: string): Gpu {
  return {
    id,
    state: 'ready',
    reason: null,
    vendor,
    kind: 'gpu',
    parent: null,
    uuid: null,
    index: null,
    name: null,
    busId: null,
    numaNode: null,
    memoryMiB: null,
    memoryFreeMiB: null,
    driver: null,
    cuda: null,
    computeCapability: null,
    computeMode: null,
    mig: null,
    persistence: null,
    ecc: null,
    powerLimitW: null,
    recoveryAction: null,
    processes: null,
  };
}
