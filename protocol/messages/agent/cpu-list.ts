/** Lists of CPUs as cpuset(7) writes them: `0-3,8`. Pure. */

const MOST_CPUS = 4_096;

/** Ascending, each once; null where the text is no such list. */
export function parseCpuList(text: string): number[] | null {
  const cpus = new Set<number>();
  for (const part of text.trim().split(',')) {
    const [, from, to = from] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? [];
    if (from === undefined || Number(to) < Number(from)) return null;
    for (let cpu = Number(from); cpu <= Number(to) && cpu < MOST_CPUS; cpu += 1) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

export function formatCpuList(cpus: readonly number[]): string {
  const ordered = [...new Set(cpus)].sort((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const cpu of ordered) {
    const last = ranges.at(-1);
    if (last?.[1] === cpu - 1) last[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

/** It names at least one. */
export function isCpuList(text: string): boolean {
  return (parseCpuList(text) ?? []).length > 0;
}
