/**
 * JSON in one form only: object keys sorted, no spaces. Equal views are equal bytes (I2), whoever
 * wrote them and in whatever order their fields were set. Values that JSON drops are dropped.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner;
    return Object.fromEntries(
      Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
    );
  });
}
