/**
 * From `rocm-smi --json` to GPUs. Pure; never throws. Untested on hardware: the names of its fields
 * differ between versions, so each is looked for in every form that is known, without regard to case.
 */
import { z } from 'zod';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import { busIdOf } from './bus-id.ts';
import { blankGpu } from './gpu-facts.ts';
import { short } from './nvidia-gpus.ts';

export const ROCM_SMI = 'rocm-smi';

const Cards = z.record(z.string(), z.record(z.string(), z.unknown()));
const CARD = /^card(\d{1,3})$/;
const MIB = 1_024 * 1_024;

/** Of one GPU, by field; `index`: its card number. */
export type Card = Readonly<Record<string, unknown>>;

export type CardsIn =
  | {
      readonly kind: 'read';
      readonly cards: readonly { readonly index: number; readonly card: Card }[];
      readonly system: Card;
    }
  | { readonly kind: 'unreadable'; readonly reason: string };

export type ReadCards =
  | { readonly kind: 'read'; readonly gpus: readonly Gpu[] }
  | { readonly kind: 'unreadable'; readonly reason: string };

/** What rocm-smi printed, by card. */
export function cardsIn(text: string): CardsIn {
  // Warnings come before the JSON, in the same stream.
  const [from, to] = [text.indexOf('{'), text.lastIndexOf('}')];
  if (from === -1 || to < from) return { kind: 'unreadable', reason: 'it printed no JSON' };
  let parsed;
  try {
    parsed = Cards.safeParse(JSON.parse(text.slice(from, to + 1)));
  } catch {
    return { kind: 'unreadable', reason: 'what it printed is no JSON' };
  }
  if (!parsed.success) return { kind: 'unreadable', reason: 'its JSON is not by cards' };
  const cards = Object.entries(parsed.data).flatMap(([key, card]) => {
    const index = CARD.exec(key)?.[1];
    return index === undefined ? [] : [{ index: Number(index), card }];
  });
  return { kind: 'read', cards, system: parsed.data['system'] ?? {} };
}

export function readCards(text: string): ReadCards {
  const read = cardsIn(text);
  if (read.kind === 'unreadable') return read;
  const driver = valueOf(read.system, ['Driver version']);
  return { kind: 'read', gpus: read.cards.map(({ index, card }) => cardGpu(index, card, driver)) };
}

/** Its unique id, else its place on the bus, else its number: the same in every answer that has these. */
export function cardIdOf(
  index: number,
  card: Card,
): { readonly id: string; readonly uuid: string | null; readonly busId: string | null } {
  const unique = valueOf(card, ['Unique ID']);
  const busId = busIdOf(valueOf(card, ['PCI Bus']));
  const uuid = unique === null ? null : `AMD-${unique.replace(/^0x/i, '').toLowerCase()}`;
  return { id: uuid ?? (busId === null ? `amd-${index}` : `pci-${busId}`), uuid, busId };
}

function cardGpu(index: number, card: Card, driver: string | null): Gpu {
  const { id, uuid, busId } = cardIdOf(index, card);
  const total = numberOf(card, ['VRAM Total Memory (B)']);
  const used = numberOf(card, ['VRAM Total Used Memory (B)']);
  const name = valueOf(card, ['Card Series', 'Card Model', 'Device Name', 'Market Name']);
  const isWhole = total !== null && name !== null;
  return {
    ...blankGpu('amd', id),
    state: isWhole ? 'ready' : 'degraded',
    reason: isWhole ? null : `rocm-smi does not tell its ${name === null ? 'name' : 'memory'}`,
    uuid,
    index,
    name,
    busId,
    memoryMiB: total === null ? null : Math.floor(total / MIB),
    memoryFreeMiB:
      total === null || used === null ? null : Math.max(0, Math.floor((total - used) / MIB)),
    driver,
    computeCapability: valueOf(card, ['GFX Version']),
    powerLimitW: numberOf(card, ['Max Graphics Package Power (W)']),
  };
}

/** Null for what is missing or says that there is none. */
export function valueOf(card: Card, names: readonly string[]): string | null {
  for (const name of names) {
    const key = Object.keys(card).find((each) => each.toLowerCase() === name.toLowerCase());
    const value = key === undefined ? null : card[key];
    const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value : '';
    if (text.trim() !== '' && !/^n\/?a$/i.test(text.trim())) return short(text);
  }
  return null;
}

export function numberOf(card: Card, names: readonly string[]): number | null {
  const text = valueOf(card, names);
  return text !== null && /^\d{1,18}(?:\.\d{1,6})?$/.test(text) ? Number(text) : null;
}
