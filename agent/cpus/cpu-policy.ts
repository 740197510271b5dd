/**
 * Which CPUs an attempt is bound to. Pure, and deterministic.
 *
 * 1. On one NUMA node where one has enough: the one of its GPU first, else the fullest that still has
 *    enough, so that large ones stay whole for those who need them.
 * 2. Whole cores first; what is left over shares a core that is shared already, rather than open one.
 * 3. The lowest numbers first.
 */

export interface Cpu {
  readonly cpu: number;
  /** The same for the threads of one core, and for no others. */
  readonly core: string;
  readonly node: number | null;
}

export interface CpuLayout {
  /** Those that attempts may be bound to, ascending. */
  readonly cpus: readonly Cpu[];
}

export interface CpuWish {
  readonly count: number;
  readonly taken: ReadonlySet<number>;
  /** Of its GPU; null where it has none, or that is not known. */
  readonly node: number | null;
}

/** Ascending. None where so many are not free: the caller has counted them. */
export function chooseCpus(layout: CpuLayout, { count, taken, node }: CpuWish): number[] {
  const free = layout.cpus.filter(({ cpu }) => !taken.has(cpu));
  if (count === 0 || free.length < count) return [];
  const nodes = [...groupedBy(free, (each) => String(each.node)).values()]
    .filter((group) => group.length >= count)
    .sort((a, b) => near(a, node) - near(b, node) || a.length - b.length);
  const chosen = fromCores(nodes[0] ?? free, { layout, count });
  return chosen.sort((a, b) => a - b);
}

/** 0 for the wanted node. */
function near([first]: readonly Cpu[], node: number | null): number {
  return node !== null && first?.node === node ? 0 : 1;
}

function fromCores(
  free: readonly Cpu[],
  { layout, count }: { readonly layout: CpuLayout; readonly count: number },
): number[] {
  const sizes = new Map<string, number>();
  for (const { core } of layout.cpus) sizes.set(core, (sizes.get(core) ?? 0) + 1);
  const cores = [...groupedBy(free, ({ core }) => core).entries()];
  const isWhole = ([core, cpus]: (typeof cores)[number]): boolean =>
    cpus.length === sizes.get(core);
  const chosen: number[] = [];
  for (const [, cpus] of cores.filter(isWhole)) {
    if (chosen.length + cpus.length <= count) chosen.push(...cpus.map(({ cpu }) => cpu));
  }
  const shared = cores.filter((core) => !isWhole(core));
  for (const [, cpus] of [...shared, ...cores.filter(isWhole)]) {
    for (const { cpu } of cpus) {
      if (chosen.length < count && !chosen.includes(cpu)) chosen.push(cpu);
    }
  }
  return chosen;
}

function groupedBy(cpus: readonly Cpu[], keyOf: (cpu: Cpu) => string): Map<string, Cpu[]> {
  const groups = new Map<string, Cpu[]>();
  for (const cpu of cpus) groups.set(keyOf(cpu), [...(groups.get(keyOf(cpu)) ?? []), cpu]);
  return groups;
}
