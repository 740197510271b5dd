/** What `doctor` says of the GPUs of a host. Pure. */
import type { Gpu, GpuProbe } from '#protocol/messages/agent/hardware.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { gpuName, gpusText } from '../output/gpu-text.ts';
import { bad, ok, type Check } from './check.ts';

/** None where there are neither GPUs nor a tool in trouble. */
export function gpuChecks(agent: string, { hardware }: Registration): Check[] {
  if (hardware === undefined) return [];
  const { gpus, gpuProbes } = hardware;
  const troubled = gpus.filter(({ state }) => state !== 'ready' && state !== 'partitioned');
  const told = new Set(troubled.map(({ reason }) => reason));
  const tools = gpuProbes.filter(
    ({ state, reason }) => state !== 'ready' && state !== 'absent' && !told.has(reason),
  );
  const name = `${agent} gpus`;
  const bads = [
    ...tools.map((probe) => toolCheck(name, probe)),
    ...troubled.map((gpu) => gpuCheck(name, gpu, gpuProbes)),
  ];
  if (bads.length > 0 || gpus.length === 0) return bads;
  return [ok(name, gpusText(hardware))];
}

function toolCheck(name: string, { tool, state, reason }: GpuProbe): Check {
  const detail = reason?.startsWith(tool) === true ? reason : `${tool}: ${reason ?? state}`;
  return bad(state === 'failed' ? 'fail' : 'warn', name, {
    detail,
    advice: `run ${tool} on the host; docs/hosts.md says what each state means`,
  });
}

function gpuCheck(name: string, gpu: Gpu, probes: readonly GpuProbe[]): Check {
  const { state, reason, vendor } = gpu;
  const tool = vendor === 'nvidia' ? 'nvidia-smi' : 'rocm-smi';
  const isDriverMissing = probes.some((probe) => probe.tool === tool && probe.state === 'absent');
  // A host that was never meant to use its GPU is no failure.
  const status = state === 'degraded' || isDriverMissing ? 'warn' : 'fail';
  const detail = `${gpuName(gpu)} is ${state}: ${reason ?? 'no reason given'}`;
  const advice = isDriverMissing
    ? 'install its driver, if benchmarks are to use it'
    : (ADVICE[state] ?? 'look at the log of the kernel for NVRM or amdgpu');
  return bad(status, name, { detail, advice });
}

const ADVICE: Partial<Record<Gpu['state'], string>> = {
  failed: 'look at the kernel log of the host; a reset of the GPU or a reboot often brings it back',
  absent: 'look at the kernel log of the host; gone on purpose: remove gpus.json of the agent',
};
