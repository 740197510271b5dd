/** What a task needs when it is tried again with more. Pure. */
import { amountText, nearestMisfit, type HostCapacity } from '../messages/agent/fit.ts';
import { matchesGpu, sizeText } from '../messages/agent/gpu-match.ts';
import type { Offer } from '../messages/agent/accepts.ts';
import type { Needs } from '../messages/attempt/needs.ts';
import type { Unplaceable } from '../messages/run/explain.ts';
import type { Raise, Raises } from '../messages/run/raise.ts';

type Amount = keyof Raises;
const AMOUNTS: readonly Amount[] = ['memoryMiB', 'vramMiB', 'cpus', 'slots'];

/** 0: it asks for none. */
function amountOf(needs: Needs, amount: Amount): number {
  if (amount === 'vramMiB') return needs.gpus?.memoryMiB ?? 0;
  return needs[amount] ?? 0;
}

function withAmount(needs: Needs, amount: Amount, value: number): Needs {
  if (amount !== 'vramMiB') return { ...needs, [amount]: value };
  return needs.gpus === undefined ? needs : { ...needs, gpus: { ...needs.gpus, memoryMiB: value } };
}

/** Never less than before. What a task asks for none of stays so. */
export function raisedNeeds(needs: Needs, raises: Raises): Needs {
  return AMOUNTS.reduce((raised, amount) => {
    const rule = raises[amount];
    const before = amountOf(needs, amount);
    if (rule === undefined || before === 0) return raised;
    return withAmount(raised, amount, Math.max(before, raisedAmount(before, rule)));
  }, needs);
}

function raisedAmount(before: number, { times = 1, plus = 0, upTo = Infinity }: Raise): number {
  return Math.min(upTo, Math.ceil(before * times) + plus);
}

export type RaisedTo =
  /** At its limits already. */
  | { readonly kind: 'same' }
  | { readonly kind: 'raised'; readonly needs: Needs }
  /** None of the hosts could give more than it had. */
  | { readonly kind: 'unplaceable'; readonly nearest: Omit<Unplaceable, 'tasks'> };

type Host = HostCapacity & { readonly id: string; readonly hostId: string };

/** As much as is asked for, or else the most of it that one of the hosts could give. */
export function raisedWithin(
  hosts: readonly Host[],
  of: { readonly needs: Needs; readonly raises: Raises; readonly offer: Offer },
): RaisedTo {
  const { needs, raises, offer } = of;
  const wanted = raisedNeeds(needs, raises);
  if (gain(needs, wanted) === 0) return { kind: 'same' };
  const nearest = nearestMisfit(hosts, wanted, offer);
  if (nearest === null || hosts.length === 0) return { kind: 'raised', needs: wanted };
  let best: { readonly needs: Needs; readonly gain: number } | null = null;
  for (const host of hosts) {
    const least = lessened(host, needs, wanted);
    if (least === null) continue;
    const gained = gain(needs, least);
    if (gained <= (best?.gain ?? 0) || nearestMisfit(hosts, least, offer) !== null) continue;
    best = { needs: least, gain: gained };
  }
  return best === null ? { kind: 'unplaceable', nearest } : { kind: 'raised', needs: best.needs };
}

/** What the host could give of it; null where that is less than the task had. */
function lessened(host: Host, needs: Needs, wanted: Needs): Needs | null {
  let given = wanted;
  for (const amount of AMOUNTS) {
    const before = amountOf(needs, amount);
    const raised = amountOf(wanted, amount);
    if (raised === before) continue;
    const least = Math.min(raised, mostOf(host, needs, amount));
    if (least < before) return null;
    given = withAmount(given, amount, least);
  }
  return given;
}

/** Of GPUs: so much as many as it takes have, each. */
function mostOf(host: Host, { gpus }: Needs, amount: Amount): number {
  if (amount !== 'vramMiB') return host[amount];
  if (gpus === undefined) return 0;
  const sizes = host.gpus.filter((gpu) => matchesGpu(gpu, gpus)).map((gpu) => gpu.memoryMiB ?? 0);
  return sizes.sort((a, b) => b - a)[gpus.count - 1] ?? 0;
}

/** The sum of the shares by which amounts are more. */
function gain(before: Needs, after: Needs): number {
  return AMOUNTS.reduce((sum, amount) => {
    const had = amountOf(before, amount);
    return had === 0 ? sum : sum + amountOf(after, amount) / had - 1;
  }, 0);
}

const text = (amount: Amount, value: number): string => {
  if (amount === 'vramMiB') return `${sizeText(value)} of VRAM each`;
  return amountText(amount === 'memoryMiB' ? 'memory' : amount, value);
};

/** `16 GiB of memory (8 GiB of memory before), 4 CPUs (2 CPUs before)`. */
export function raisedText(before: Needs, after: Needs): string {
  return AMOUNTS.filter((amount) => amountOf(before, amount) !== amountOf(after, amount))
    .map((amount) => {
      const had = text(amount, amountOf(before, amount));
      return `${text(amount, amountOf(after, amount))} (${had} before)`;
    })
    .join(', ');
}

/** All amounts that it asks for: `16 GiB of memory, 2 slots`. */
export function amountsText(needs: Needs): string {
  const asked = AMOUNTS.filter(
    (amount) => amountOf(needs, amount) > 0 && (amount !== 'slots' || !needs.exclusive),
  );
  return asked.map((amount) => text(amount, amountOf(needs, amount))).join(', ');
}

/** `memory x2 up to 64 GiB`. */
export function raisesText(raises: Raises): string {
  return AMOUNTS.flatMap((amount) => {
    const rule = raises[amount];
    if (rule === undefined) return [];
    const name = { memoryMiB: 'memory', vramMiB: 'vram', cpus: 'cpus', slots: 'slots' }[amount];
    const isSize = amount === 'memoryMiB' || amount === 'vramMiB';
    const shown = (value: number): string => (isSize ? sizeText(value) : String(value));
    const by = rule.times === undefined ? `+${shown(rule.plus ?? 0)}` : `x${rule.times}`;
    return [`${name} ${by}${rule.upTo === undefined ? '' : ` up to ${shown(rule.upTo)}`}`];
  }).join(', ');
}
