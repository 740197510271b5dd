/**
 * Which GPUs will do for a task: the same for the coordinator, which counts them, and for the agent,
 * which chooses among them. A value that a GPU does not tell is not as wanted. Pure.
 */
import type { GpuNeeds } from '../attempt/needs.ts';
import { matchesGlob } from '../name-glob.ts';
import type { Gpu } from './hardware.ts';
import { numberHolds, numberRuleText } from './label-rules.ts';

export type MatchedGpu = Pick<
  Gpu,
  'kind' | 'name' | 'memoryMiB' | 'memoryFreeMiB' | 'computeCapability'
>;

/** By what it is. What is free of it now is not asked: `hasFree`. */
export function matchesGpu(gpu: MatchedGpu, needs: GpuNeeds): boolean {
  const { name, memoryMiB = 0, freeMiB = 0, computeCapability, mig } = needs;
  const least = Math.max(memoryMiB, freeMiB);
  if (least > 0 && (gpu.memoryMiB ?? 0) < least) return false;
  if (name !== undefined && !matchesGlob(name, gpu.name ?? '')) return false;
  if (computeCapability !== undefined && !numberHolds(computeCapability, capabilityOf(gpu)))
    return false;
  return mig === undefined || matchesMig(gpu, mig);
}

function capabilityOf({ computeCapability }: MatchedGpu): number {
  return computeCapability === null || computeCapability === ''
    ? Number.NaN
    : Number(computeCapability);
}

function matchesMig({ kind, name }: MatchedGpu, mig: boolean | string): boolean {
  if (typeof mig === 'boolean') return mig === (kind === 'mig');
  return kind === 'mig' && matchesGlob(mig, profileOf(name ?? ''));
}

/** The name of an instance ends with it. */
function profileOf(name: string): string {
  const mark = ' MIG ';
  const at = name.lastIndexOf(mark);
  return at < 0 ? name : name.slice(at + mark.length);
}

/** So much of it is free, as last looked at. */
export function hasFree({ memoryFreeMiB }: MatchedGpu, { freeMiB }: GpuNeeds): boolean {
  return freeMiB === undefined || (memoryFreeMiB ?? 0) >= freeMiB;
}

/** It says more of them than how many. */
export function isChoosy(needs: GpuNeeds): boolean {
  return Object.keys(needs).length > 1;
}

/** What each must be, after its number: ` *H100*`, ` with 40 GiB`; empty where any will do. */
export function gpuWishText(needs: GpuNeeds): string {
  const { name, memoryMiB, freeMiB, computeCapability, mig } = needs;
  const withs = [
    ...(memoryMiB === undefined ? [] : [sizeText(memoryMiB)]),
    ...(freeMiB === undefined ? [] : [`${sizeText(freeMiB)} free`]),
    ...(computeCapability === undefined
      ? []
      : [`compute capability ${numberRuleText(computeCapability)}`]),
    ...(mig === undefined || mig === false ? [] : [`MIG${mig === true ? '' : ` ${mig}`}`]),
    ...(mig === false ? ['no MIG'] : []),
  ];
  return `${name === undefined ? '' : ` ${name}`}${withs.length === 0 ? '' : ` with ${withs.join(', ')}`}`;
}

export function sizeText(mib: number): string {
  return mib % 1024 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`;
}
