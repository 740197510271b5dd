/** Is there a GPU of the name wanted, with VRAM free and a driver new enough? The rule is pure. */
import type { CheckOf } from '#protocol/messages/attempt/check-spec.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import { amount } from './amount.ts';
import { failed, PASSED, type CheckContext, type CheckResult, type GpuLook } from './types.ts';

export async function checkGpu(
  check: CheckOf<'gpu'>,
  { lookAtGpus, gpuIds }: Pick<CheckContext, 'lookAtGpus' | 'gpuIds'>,
): Promise<CheckResult> {
  return gpuResult(check, await lookAtGpus(), gpuIds);
}

/**
 * One GPU that has everything is enough; of GPUs that the attempt holds, each must. A value that is
 * not known counts as missing: nobody could say that it is enough.
 */
export function gpuResult(
  check: CheckOf<'gpu'>,
  { gpus, troubles }: GpuLook,
  gpuIds: readonly string[] | null = null,
): CheckResult {
  const usable = gpus.filter(({ state }) => state === 'ready' || state === 'degraded');
  const held = usable.filter(({ id }) => gpuIds?.includes(id) !== false);
  // The one that comes nearest is the one to tell of.
  const named = held
    .filter((gpu) => hasName(gpu, check.name))
    .sort((a, b) => (b.memoryFreeMiB ?? -1) - (a.memoryFreeMiB ?? -1));
  if (named.length === 0) return failed(`${noGpu(check, held)}${because(gpus, troubles)}`);
  const lacks = named.map((gpu) => lackOf(check, gpu));
  const lack = lacks.find((each) => each !== null) ?? null;
  const isEnough =
    gpuIds === null ? lacks.includes(null) : lack === null && named.length === gpuIds.length;
  return isEnough ? PASSED : failed(lack ?? noGpu(check, held));
}

function hasName(gpu: Gpu, wanted: string | null): boolean {
  return wanted === null || gpu.name?.toLowerCase().includes(wanted.toLowerCase()) === true;
}

function noGpu({ name }: CheckOf<'gpu'>, held: readonly Gpu[]): string {
  if (name === null) return 'no usable GPU';
  const there = [...new Set(held.map((gpu) => gpu.name ?? `an unknown ${gpu.vendor} GPU`))];
  return `no usable GPU named ${name}${there.length === 0 ? '' : `; there is ${there.join(', ')}`}`;
}

function because(gpus: readonly Gpu[], troubles: readonly string[]): string {
  const failedOnes = gpus.flatMap(({ state, reason, name, id }) =>
    state === 'failed' || state === 'absent' ? [`${name ?? id} ${state}: ${reason ?? '?'}`] : [],
  );
  const all = [...troubles, ...failedOnes];
  return all.length === 0 ? '' : ` (${all.join('; ')})`;
}

function lackOf({ minFreeVramMiB, driver }: CheckOf<'gpu'>, gpu: Gpu): string | null {
  const { memoryFreeMiB: free } = gpu;
  const name = gpu.name ?? gpu.id;
  if (minFreeVramMiB !== null && free === null)
    return `free VRAM of ${name} is not known, ${amount(minFreeVramMiB)} needed`;
  if (minFreeVramMiB !== null && free !== null && free < minFreeVramMiB)
    return `${amount(free)} free of VRAM on ${name}, ${amount(minFreeVramMiB)} needed`;
  if (driver !== null && gpu.driver === null)
    return `the driver of ${name} is not known, ${driver} or newer needed`;
  if (driver !== null && gpu.driver !== null && isOlder(gpu.driver, driver))
    return `driver ${gpu.driver} of ${name} is too old, ${driver} or newer needed`;
  return null;
}

/** `535.104.05` is older than `550`: number by number. */
export function isOlder(version: string, wanted: string): boolean {
  const [have, want] = [version, wanted].map((text) => (text.match(/\d+/g) ?? []).map(Number));
  for (const [at, number] of (want ?? []).entries()) {
    const own = have?.[at] ?? 0;
    if (own !== number) return own < number;
  }
  return false;
}
