/**
 * VRAM after load: what the GPUs of an attempt hold when all is loaded and the measurement has not begun.
 * The one look it takes stands between the steps, and only where there are GPUs and something to load.
 */
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Metric } from '#protocol/messages/attempt/outcome.ts';
import type { GpuLook } from '../checks/types.ts';
import type { AttemptState } from './attempt-state.ts';

export const LOADED_VRAM = 'vram.after_load';

/** The step is the first `run` after a `load` or a service, and the attempt has GPUs. Pure. */
export function isLoaded(
  { steps, resources, spec, measured = [] }: AttemptState,
  { step }: Pick<StepSpec, 'step'>,
): boolean {
  if (step !== 'run' || (resources?.gpus ?? []).length === 0) return false;
  if (steps.some((one) => one.step === 'run')) return false;
  if (measured.some(({ name }) => name === LOADED_VRAM)) return false;
  return spec.steps.some((one) => one.step === 'load' || one.step === 'service');
}

/** Of all GPUs of the attempt together; null where one of them does not tell. Pure. */
export function vramUsed({ gpus }: Pick<GpuLook, 'gpus'>, ids: readonly string[]): Metric | null {
  const own = gpus.filter(({ id }) => ids.includes(id));
  const used = own.map(({ memoryMiB: all, memoryFreeMiB: free }) =>
    all === null || free === null ? null : all - free,
  );
  if (own.length < ids.length || used.includes(null)) return null;
  const value = used.reduce<number>((sum, each) => sum + (each ?? 0), 0);
  return { name: LOADED_VRAM, value, unit: 'MiB', direction: 'none' };
}
