/**
 * Which of a host's GPUs an attempt's result is about. Pure.
 *
 * Those it was given, whatever the others do; without any: all, where it has the host to itself, since it may
 * use them all the same, and none where it shares the host. Of a MIG instance nobody tells more than of the
 * card it is a part of, whose clocks are its own too; who else is on that card is no stranger to it.
 */
import type { GpuSample, HostSample } from '#protocol/messages/agent/telemetry.ts';

export interface GivenGpu {
  readonly id: string;
  readonly parent?: string | null | undefined;
}

export interface GpuScope {
  readonly given: readonly GivenGpu[];
  readonly isExclusive: boolean;
}

export type Foreign = GpuSample['foreign'];

/** The host as the attempt sees it; `foreignTo`: who on a GPU it was given is not its own. */
export function seenBy(
  host: HostSample,
  { given, isExclusive }: GpuScope,
  foreignTo: (gpu: GpuSample) => Foreign,
): HostSample {
  if (given.length === 0) return isExclusive ? host : { ...host, gpus: [], gpuReason: null };
  const gpus = host.gpus.flatMap((gpu) => {
    if (given.some(({ id }) => id === gpu.id)) return [{ ...gpu, foreign: foreignTo(gpu) }];
    return given.some(({ parent }) => parent === gpu.id) ? [{ ...gpu, foreign: null }] : [];
  });
  return { ...host, gpus };
}
