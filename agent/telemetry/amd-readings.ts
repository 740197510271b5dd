/**
 * What AMD's GPUs do, from one answer of `rocm-smi --json`. Pure; never throws. Untested on hardware: names of
 * fields differ between versions, so each is looked for in every form that is known.
 */
import { cardIdOf, cardsIn, numberOf, valueOf, type Card } from '../discovery/amd-gpus.ts';
import type { GpuReading } from './gpu-feed.ts';

export const QUESTIONS = [
  '--showuniqueid',
  '--showbus',
  '--showuse',
  '--showmemuse',
  '--showmeminfo',
  'vram',
  '--showpower',
  '--showtemp',
  '--showclocks',
  '--json',
] as const;

const MIB = 1_024 * 1_024;
const MOST_GPUS = 64;

export type ReadReadings =
  | { readonly kind: 'read'; readonly readings: readonly GpuReading[] }
  | { readonly kind: 'unreadable'; readonly reason: string };

export function readReadings(text: string): ReadReadings {
  const read = cardsIn(text);
  if (read.kind === 'unreadable') return read;
  const readings = read.cards.slice(0, MOST_GPUS).map(({ index, card }) => readingOf(index, card));
  return { kind: 'read', readings };
}

function readingOf(index: number, card: Card): GpuReading {
  const used = numberOf(card, ['VRAM Total Used Memory (B)']);
  return {
    index,
    id: cardIdOf(index, card).id,
    utilisationPercent: numberOf(card, ['GPU use (%)']),
    // The older name means the same; how much is allocated has a third one.
    memoryUtilisationPercent: numberOf(card, [
      'GPU Memory Read/Write Activity (%)',
      'GPU memory use (%)',
    ]),
    memoryUsedMiB: used === null ? null : Math.floor(used / MIB),
    powerW: numberOf(card, [
      'Average Graphics Package Power (W)',
      'Current Socket Graphics Package Power (W)',
    ]),
    temperatureC: numberOf(card, [
      'Temperature (Sensor edge) (C)',
      'Temperature (Sensor junction) (C)',
    ]),
    smMHz: clockOf(card, 'sclk'),
    memoryMHz: clockOf(card, 'mclk'),
    // It does not say why clocks are low.
    clockReasons: null,
  };
}

/** `(1700Mhz)`, with or without the parentheses. */
function clockOf(card: Card, name: 'sclk' | 'mclk'): number | null {
  const text = valueOf(card, [`${name} clock speed:`, `${name} clock speed`]);
  const digits = /^\(?(\d{1,6})\s?Mhz\)?$/i.exec(text ?? '')?.[1];
  return digits === undefined ? null : Number(digits);
}
