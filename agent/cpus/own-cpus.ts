/**
 * On which CPUs the agent itself and its helpers run, and where attempts without CPUs of their own do. Pure.
 *
 * 1. CPUs reserved for the agent are no attempt's, and it stays on them.
 * 2. Where none are, it keeps off the CPUs that attempts are bound to as far as others are left: first those
 *    whose core no bound attempt shares. It is at home everywhere else.
 */
import { formatCpuList, parseCpuList } from '#protocol/messages/agent/cpu-list.ts';
import type { CpuLayout } from './cpu-policy.ts';

export type Reserved =
  | { readonly kind: 'reserved'; readonly cpus: readonly number[] }
  | { readonly kind: 'wrong'; readonly reason: string };

/** `list` as cpuset(7) writes it; `usable`: those this process may run on. */
export function reservedOf(list: string, usable: readonly number[]): Reserved {
  const wrong = (reason: string): Reserved => ({ kind: 'wrong', reason });
  const cpus = parseCpuList(list) ?? [];
  if (cpus.length === 0) return wrong('must be a list of CPUs such as 0-1,8');
  const unknown = cpus.filter((cpu) => !usable.includes(cpu));
  const all = formatCpuList(usable);
  if (unknown.length > 0) {
    const names = `${unknown.length === 1 ? 'CPU' : 'CPUs'} ${formatCpuList(unknown)}`;
    return wrong(`names ${names}, and this agent may use ${all}`);
  }
  if (cpus.length === usable.length) {
    return wrong(`leaves no CPU for attempts: this agent may use ${all}`);
  }
  return { kind: 'reserved', cpus };
}

/** What is left for attempts. */
export function withoutReserved(layout: CpuLayout, reserved: readonly number[]): CpuLayout {
  return { cpus: layout.cpus.filter(({ cpu }) => !reserved.includes(cpu)) };
}

/** Where the agent runs while attempts are bound to `pinned`; ascending, and never none. */
export function ownCpus({ cpus }: CpuLayout, pinned: ReadonlySet<number>): number[] {
  const left = cpus.filter(({ cpu }) => !pinned.has(cpu));
  const shared = new Set(cpus.flatMap(({ cpu, core }) => (pinned.has(cpu) ? [core] : [])));
  const apart = left.filter(({ core }) => !shared.has(core));
  const most = [apart, left, cpus].find(({ length }) => length > 0) ?? cpus;
  return most.map(({ cpu }) => cpu);
}
