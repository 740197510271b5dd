/**
 * From `rocm-smi --json` to GPUs. Pure; never throws. Untested on hardware: the names of its fields
 * differ between versions, so each is looked for in every form that is known, without regard to case.
 */
import { z } from 'zod';
import type { Gpu } from '#protocol/messages/hardware.ts';
import { busIdOf } from './bus-id.ts';
import { blankGpu } from './gpu-facts.ts';
import { short } from './nvidia-gpus.ts';

const Cards = z.record(z.string(), z.record(z.string(), z.unknown()));
const CARD = /^card(\d{1,3})$/;
const MIB = 1_024 * 1_024;

export type ReadCards =
  | { readonly kind: 'read'; readonly gpus: readonly Gpu[] }
  | { readonly kind: 'unreadable'; readonly reason: string };

export function readCards(text: string): ReadCards {
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
  const driver = valueOf(parsed.data['system'] ?? {}, ['Driver version']);
  const gpus = Object.entries(parsed.data).flatMap(([key, card]) => {
    const index = CARD.exec(key)?.[1];
    return index === undefined ? [] : [cardGpu(Number(index), card, driver)];
  });
  return { kind: 'read', gpus };
}

type Card = Readonly<Record<string, unknown>>;

function cardGpu(index: number, card: Card, driver: string | null): Gpu {
  const unique = valueOf(card, ['Unique ID']);
  const busId = busIdOf(valueOf(card, ['PCI Bus']));
  const total = numberOf(card, ['VRAM Total Memory (B)']);
  const used = numberOf(card, ['VRAM Total Used Memory (B)']);
  const name = valueOf(card, ['Card Series', 'Card Model', 'Device Name', 'Market Name']);
  const uuid = unique === null ? null : `AMD-${unique.replace(/^0x/i, '').toLowerCase()}`;
  const isWhole = total !== null && name !== null;
  return {
    ...blankGpu('amd', uuid ?? (busId === null ? `amd-${index}` : `pci-${busId}`)),
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
function valueOf(card: Card, names: readonly string[]): string | null {
  for (const name of names) {
    const key = Object.keys(card).find((each) => each.toLowerCase() === name.toLowerCase());
    const value = key === undefined ? null : card[key];
    const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value : '';
    if (text.trim() !== '' && !/^n\/?a$/i.test(text.trim())) return short(text);
  }
  return null;
}

function numberOf(card: Card, names: readonly string[]): number | null {
  const text = valueOf(card, names);
  return text !== null && /^\d{1,18}(?:\.\d{1,6})?$/.test(text) ? Number(text) : null;
}
