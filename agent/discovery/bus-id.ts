/** Places on the PCI bus, which every source writes in its own way. Pure. */

const PLACE = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i;

/** `00000000:0C:00.0`, `0c:00.0` and `0000:0C:00.0` are `0000:0c:00.0`; null for anything else. */
export function busIdOf(text: string | null): string | null {
  const match = PLACE.exec(text?.trim() ?? '');
  if (match === null) return null;
  const [, domain = '0', bus = '', device = '', part = ''] = match;
  const wide = Number.parseInt(domain, 16).toString(16).padStart(4, '0');
  return `${wide}:${bus}:${device}.${part}`.toLowerCase();
}
