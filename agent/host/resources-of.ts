/** What an attempt is given, with what its host is at that moment. */
import { readFileSync } from 'node:fs';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import type { AttemptResources } from '#protocol/messages/agent/resources.ts';
import type { HostInfo } from './host-info.ts';

const CPUFREQ = '/sys/devices/system/cpu/cpu0/cpufreq';
/** Asked once: it never changes, and where there is none each look would cost as much as a step. */
const MAX_MHZ = Math.round(Number(textOf(`${CPUFREQ}/cpuinfo_max_freq`)) / 1_000) || null;
const HAS_GOVERNOR = textOf(`${CPUFREQ}/scaling_governor`) !== '';

export function resourcesOf(
  given: { readonly gpus: readonly Gpu[]; readonly cpus: readonly number[] },
  { os, kernel, cpuModel }: Pick<HostInfo, 'os' | 'kernel' | 'cpuModel'>,
): AttemptResources {
  const governor = HAS_GOVERNOR ? textOf(`${CPUFREQ}/scaling_governor`) : '';
  return {
    gpus: given.gpus.map((gpu) => {
      const { id, uuid, index, name, vendor, kind, memoryMiB, numaNode } = gpu;
      const { driver, cuda, powerLimitW, parent } = gpu;
      return {
        id,
        uuid,
        index,
        name,
        vendor,
        kind,
        ...(parent === null ? {} : { parent }),
        memoryMiB,
        numaNode,
        driver,
        cuda,
        powerLimitW,
      };
    }),
    cpus: [...given.cpus],
    host: {
      os,
      kernel,
      cpuModel,
      governor: governor === '' ? null : governor,
      maxMhz: MAX_MHZ,
    },
  };
}

/** Empty where the kernel does not tell: a virtual machine, a container. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
