/** The driver's bit mask of why clocks are low (nvml.h, nvmlClocksEventReasons), as names. Pure. */
import type { ClockReason } from '#protocol/messages/agent/telemetry.ts';

const BITS: readonly (readonly [number, ClockReason])[] = [
  [0x1, 'idle'],
  [0x2, 'applications_clocks'],
  [0x4, 'sw_power_cap'],
  [0x8, 'hw_slowdown'],
  [0x10, 'sync_boost'],
  [0x20, 'sw_thermal'],
  [0x40, 'hw_thermal'],
  [0x80, 'hw_power_brake'],
  [0x100, 'display_clocks'],
];

/**
 * What keeps a benchmark from the clocks the card could have: heat and power. An idle GPU, and clocks
 * somebody has set (application, display, sync boost), are as they should be.
 */
export const THROTTLING: ReadonlySet<ClockReason> = new Set([
  'sw_power_cap',
  'hw_slowdown',
  'sw_thermal',
  'hw_thermal',
  'hw_power_brake',
]);

/** `0x0000000000000024`; null for what is no such mask. Bits that have no name yet are left out. */
export function clockReasonsOf(mask: string | null): ClockReason[] | null {
  const digits = /^0x([0-9a-f]{1,16})$/i.exec(mask ?? '')?.[1];
  if (digits === undefined) return null;
  const low = Number.parseInt(digits.slice(-4), 16);
  return BITS.flatMap(([bit, reason]) => ((low & bit) === 0 ? [] : [reason]));
}
