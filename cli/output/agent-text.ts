/** One agent at length: what its host is and has. Pure but for the colours it is lent. */
import type { AgentFold } from '#protocol/fold/fleet-fold.ts';
import type { Gpu, Hardware } from '#protocol/messages/agent/hardware.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { cordonText } from './explain-text.ts';
import { dash, date, plural } from './format.ts';
import { gpuTroubles } from './gpu-text.ts';
import { paintState, type Style } from './style.ts';
import { table, type Column } from './table.ts';
import { oneLine, truncate } from './text.ts';

export interface AgentTextOptions {
  readonly style: Style;
  readonly width: number | null;
  readonly state: string;
}

export function agentLines(agent: AgentFold, options: AgentTextOptions): string[] {
  const { style, width, state } = options;
  const cut = (line: string): string => (width === null ? line : truncate(line, width));
  const head = `${style.bold(agent.agent)} ${paintState(style, state)}`;
  const at = agent.registration;
  if (at === null) return [head];
  const facts = factsOf(agent, at);
  const room = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => cut(`  ${name.padEnd(room)}  ${oneLine(value)}`));
  const gpus = at.hardware?.gpus ?? [];
  const troubles = at.hardware === undefined ? [] : gpuTroubles(at.hardware);
  const tableOptions = { width, paintHeader: style.dim };
  return [
    head,
    ...lines,
    ...(gpus.length === 0 ? [] : table(gpus, gpuColumns(style), tableOptions)),
    ...troubles.map((line) => style.warn(cut(oneLine(line)))),
  ];
}

type Fact = readonly [name: string, value: string];

function factsOf(agent: AgentFold, at: Registration): Fact[] {
  const { hardware } = at;
  const labels = Object.entries(at.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return [
    ...(agent.cordon === null ? [] : [['cordon', cordonText(agent.cordon)] satisfies Fact]),
    ['host', `${at.hostname}, ${at.address}`],
    ['system', systemText(at)],
    ['cpu', cpuText(at)],
    ...reservedFacts(at),
    ...(hardware === undefined ? [] : hardwareFacts(at, hardware)),
    ['slots', `${at.slots}, supervision rung ${at.rung}`],
    ['no better rung', dash(at.degraded)],
    ['labels', labels.length === 0 ? '-' : labels.join(' ')],
    ['state folder', at.stateDir],
    ['log', at.logFile],
    ['agent', `version ${at.version}, pid ${at.pid}, start ${at.incarnation}`],
    ['since', date(new Date(agent.startedMs).toISOString())],
    ['changed', date(new Date(agent.changedMs).toISOString())],
  ];
}

function reservedFacts({ reservedCpus, rung }: Registration): Fact[] {
  if (reservedCpus === undefined) return [];
  const unless = rung === 'scan' ? '; on the scan rung nothing is bound' : '';
  return [['agent on', `CPU ${reservedCpus}, reserved for it${unless}`]];
}

function systemText(at: Registration): string {
  const { hardware } = at;
  const container = hardware?.container ?? null;
  const where = container === null ? '' : `, in a container (${container})`;
  return `${at.os}, kernel ${at.kernel}${hardware === undefined ? '' : `, ${hardware.arch}`}${where}`;
}

function cpuText({ cpuModel, cpus, hardware }: Registration): string {
  const { sockets = null, cores = null, threads = null, numaNodes = [] } = hardware?.cpu ?? {};
  const counts: readonly (readonly [number | null, string])[] = [
    [sockets, 'socket'],
    [cores, 'core'],
    [threads, 'thread'],
    [numaNodes.length === 0 ? null : numaNodes.length, 'NUMA node'],
  ];
  const parts = counts.flatMap(([count, noun]) => (count === null ? [] : [plural(count, noun)]));
  return [cpuModel, ...parts, `${cpus} usable`].join(', ');
}

function hardwareFacts(
  at: Registration,
  { cpu, memory, disk, cgroup, gpuProbes }: Hardware,
): Fact[] {
  const limits = [
    cpu.quota === null ? null : `CPU quota ${cpu.quota}`,
    cpu.cpuset === null ? null : `cpuset ${cpu.cpuset}`,
    memory.limitMiB === null ? null : `memory ${gib(memory.limitMiB)}`,
  ].filter((limit) => limit !== null);
  const space =
    disk === null
      ? 'unknown'
      : `${gib(disk.freeMiB)} free of ${gib(disk.totalMiB)}, ${disk.fileSystem ?? 'unknown file system'}`;
  const tools = gpuProbes.map(({ tool, state }) => `${tool} ${state}`).join(', ');
  return [
    ['limits', `${limits.length === 0 ? 'none' : limits.join(', ')} (cgroup ${cgroup})`],
    [
      'memory',
      `${gib(at.memoryMiB)} usable of ${gib(memory.totalMiB)}, swap ${gib(memory.swapMiB)}`,
    ],
    ['disk', space],
    ['gpu tools', tools === '' ? '-' : tools],
  ];
}

function gib(mib: number | null): string {
  return mib === null ? 'unknown' : `${(mib / 1_024).toFixed(1)} GiB`;
}

function gpuColumns(style: Style): Column<Gpu>[] {
  return [
    {
      header: 'gpu',
      value: (gpu) => (gpu.kind === 'mig' ? `mig ${gpu.index ?? '?'}` : dash(text(gpu.index))),
    },
    { header: 'state', value: (gpu) => gpu.state, paint: (cell) => paintState(style, cell) },
    {
      header: 'fence',
      value: (gpu) => dash(gpu.fence?.kind ?? null),
      paint: (cell) => (cell.trim() === '-' ? cell : style.warn(cell)),
    },
    { header: 'name', value: (gpu) => dash(gpu.name), shrinkTo: 8 },
    {
      header: 'memory',
      value: (gpu) => dash(gpu.memoryMiB === null ? null : gib(gpu.memoryMiB)),
      align: 'right',
    },
    {
      header: 'free',
      value: (gpu) => dash(gpu.memoryFreeMiB === null ? null : gib(gpu.memoryFreeMiB)),
      align: 'right',
    },
    { header: 'driver', value: (gpu) => dash(gpu.driver), optional: true },
    { header: 'cuda', value: (gpu) => dash(gpu.cuda), optional: true },
    { header: 'capability', value: (gpu) => dash(gpu.computeCapability), optional: true },
    { header: 'used by', value: usersText, shrinkTo: 8, optional: true },
    { header: 'bus', value: (gpu) => dash(gpu.busId), optional: true },
    { header: 'id', value: (gpu) => gpu.id, shrinkTo: 8, optional: true },
  ];
}

function usersText({ processes }: Gpu): string {
  if (processes === null) return '?';
  if (processes.length === 0) return '-';
  return processes.map(({ pid, name }) => `${name.split('/').at(-1) ?? name} ${pid}`).join(', ');
}

function text(value: number | null): string | null {
  return value === null ? null : String(value);
}
