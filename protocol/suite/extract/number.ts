const PLAIN = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const GROUPED = /^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?$/;

/**
 * A measured number as programs print it: `12`, `1.5e-3`, and thousands grouped by commas
 * (`1,234.5`). No suffixes (`12k` is not 12), no hexadecimal, no NaN or infinity: null.
 */
export function parseNumber(text: string): number | null {
  const trimmed = text.trim();
  const digits = GROUPED.test(trimmed) ? trimmed.replaceAll(',', '') : trimmed;
  if (!PLAIN.test(digits)) return null;
  const value = Number(digits);
  return Number.isFinite(value) ? value : null;
}
