/**
 * Whether a host could ever run a task, beside nothing else: the same answer for `plan`, for the
 * coordinator and for whoever asks why. Pure.
 */
import { hostsOf } from '../attempt/gang.ts';
import { gpuCountOf, type Needs } from '../attempt/needs.ts';
import type { Misfit, Resource, Unplaceable } from '../run/explain.ts';
import { matchesGlob } from '../name-glob.ts';
import { refusalOf, type Accepts, type Offer } from './accepts.ts';
import { countGpus, type GpuCounts } from './gpu-counts.ts';
import { gpuWishText, isChoosy, matchesGpu, sizeText } from './gpu-match.ts';
import type { Gpu } from './hardware.ts';
import { labelRuleText, wrongLabel } from './label-rules.ts';
import type { Labels } from './labels.ts';

export interface HostCapacity {
  readonly slots: number;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly gpus: readonly Gpu[];
  /** Of all its GPUs. */
  readonly counts: GpuCounts;
  /** The agent's id, and the host's name. */
  readonly names: readonly string[];
  readonly labels: Labels;
  readonly accepts: Accepts | null;
}

/** A GPU that failed or is fenced may come back, so it counts here. */
export function misfit(host: HostCapacity, needs: Needs, offer: Offer): Misfit | null {
  const refusal = host.accepts === null ? null : refusalOf(host.accepts, offer);
  if (refusal !== null) return { kind: 'not_accepted', accepts: refusal };
  if (needs.host?.some((glob) => host.names.some((name) => matchesGlob(glob, name))) === false)
    return { kind: 'other_host', wanted: needs.host };
  const label = needs.labels === undefined ? null : wrongLabel(needs.labels, host.labels);
  if (label !== null) {
    const wanted = labelRuleText(label, needs.labels?.[label] ?? {});
    return { kind: 'label', label, wanted, has: host.labels[label] ?? null };
  }
  return tooMuch(host, needs);
}

function tooMuch(host: HostCapacity, needs: Needs): Misfit | null {
  if (needs.slots > host.slots) return never('slots', needs.slots, host.slots);
  if (needs.cpus > host.cpus) return never('cpus', needs.cpus, host.cpus);
  const { memoryMiB = 0 } = needs;
  if (memoryMiB > host.memoryMiB) return never('memory', memoryMiB, host.memoryMiB);
  const gpus = gpuCountOf(needs);
  const { most } = gpus === 0 ? host.counts : gpusFor(host, needs);
  if (gpus <= most) return null;
  const wish = needs.gpus === undefined ? '' : gpuWishText(needs.gpus);
  return { ...never('gpus', gpus, most), ...(wish === '' ? {} : { wish }) };
}

function never(of: Resource, needs: number, has: number): Misfit {
  return { kind: 'never', of, needs, has };
}

/** Those that would do, counted. */
export function gpusFor({ gpus, counts }: HostCapacity, { gpus: wish }: Needs): GpuCounts {
  if (wish === undefined || !isChoosy(wish)) return counts;
  return countGpus(gpus.filter((gpu) => matchesGpu(gpu, wish)));
}

/** How far a host comes: who is asked for what it has is nearer than one that is not meant at all. */
const ORDER: readonly Misfit['kind'][] = ['not_accepted', 'other_host', 'label', 'never'];
const RESOURCES: readonly Resource[] = ['slots', 'cpus', 'memory', 'gpus'];

function rankOf(reason: Misfit): number {
  if (reason.kind !== 'never') return ORDER.indexOf(reason.kind) * 10;
  return 30 + RESOURCES.indexOf(reason.of) + reason.has / (1 + Math.max(reason.needs, reason.has));
}

/** Null where one of them could run it, or as many as it takes at once. */
export function nearestMisfit(
  hosts: readonly (HostCapacity & { readonly id: string; readonly hostId: string })[],
  needs: Needs,
  offer: Offer,
): Omit<Unplaceable, 'tasks'> | null {
  let nearest: { reason: Misfit; agent: string } | null = null;
  const could = new Set<string>();
  for (const host of hosts) {
    const reason = misfit(host, needs, offer);
    if (reason === null) {
      could.add(host.hostId);
      if (could.size >= hostsOf(needs)) return null;
    } else if (nearest === null || rankOf(reason) > rankOf(nearest.reason))
      nearest = { reason, agent: host.id };
  }
  const place = nearest ?? { reason: null, agent: null };
  if (could.size === 0) return place;
  return { ...place, hosts: { needs: hostsOf(needs), could: could.size } };
}

const NOUNS = { slots: 'slot', cpus: 'CPU', gpus: 'GPU' } as const;

/** `8 GPUs *H100*`, `16 GiB of memory`. */
export function amountText(of: Resource, amount: number, wish = ''): string {
  if (of === 'memory') return `${sizeText(amount)} of memory`;
  return `${amount} ${NOUNS[of]}${amount === 1 ? '' : 's'}${wish}`;
}

/** What it says of a host. */
export function misfitText(reason: Misfit): string {
  switch (reason.kind) {
    case 'not_accepted':
      return `never: it accepts only ${reason.accepts}`;
    case 'other_host':
      return `never: the task is for ${reason.wanted.join(', ')}`;
    case 'label':
      return `never: label ${reason.wanted} needed, it has ${reason.has === null ? 'none' : reason.has}`;
    case 'never': {
      const { of, needs, has, wish } = reason;
      const kind = of === 'gpus' && wish === undefined ? ' of one kind' : '';
      const there = of === 'memory' ? sizeText(has) : String(has);
      return `never: ${amountText(of, needs, wish)} needed, it has ${there}${kind}`;
    }
  }
}

/** `12 tasks need 8 GPUs *H100*; the nearest agent, a, has 4`. */
export function unplaceableText({ tasks, reason, agent, hosts }: Unplaceable): string {
  const [they, need] = tasks === 1 ? ['1 task', 'needs'] : [`${tasks} tasks`, 'need'];
  if (hosts !== undefined)
    return `${they} ${need} ${hosts.needs} hosts at once, and only ${hosts.could} that ${hosts.could === 1 ? 'has' : 'have'} joined could ever run ${tasks === 1 ? 'it' : 'them'}`;
  switch (reason?.kind) {
    case 'not_accepted':
      return `no agent accepts ${they}: the nearest, ${agent ?? '?'}, accepts only ${reason.accepts}`;
    case 'other_host':
      return `${they} ${need} host ${reason.wanted.join(' or ')}, and no agent has such a name`;
    case 'label':
      return `${they} ${need} label ${reason.wanted}, and no agent has that`;
    case 'never': {
      const { of, needs, has, wish } = reason;
      const kind = of === 'gpus' && wish === undefined && has > 0 ? ' of one kind' : '';
      const there = has === 0 ? 'none' : of === 'memory' ? sizeText(has) : has;
      const nearest = `the nearest agent, ${agent ?? '?'}, has ${there}${kind}`;
      return `${they} ${need} ${amountText(of, needs, wish)}; ${nearest}`;
    }
    default:
      return `${they} ${tasks === 1 ? 'waits' : 'wait'}: no agent has joined`;
  }
}
