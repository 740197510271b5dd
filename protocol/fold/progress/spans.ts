/** Sets of times: disjoint spans in order, in ms of one clock. Pure. */

export interface Span {
  readonly fromMs: number;
  /** Not before `fromMs`; Infinity where no end is known. */
  readonly toMs: number;
}

/** Whatever is in one of them, in order and disjoint; spans without length are left out. */
export function union(spans: readonly Span[]): Span[] {
  const merged: Span[] = [];
  const sorted = spans
    .filter(({ fromMs, toMs }) => toMs > fromMs)
    .sort((a, b) => a.fromMs - b.fromMs);
  for (const span of sorted) {
    const last = merged.at(-1);
    if (last === undefined || span.fromMs > last.toMs) merged.push(span);
    else merged[merged.length - 1] = { ...last, toMs: Math.max(last.toMs, span.toMs) };
  }
  return merged;
}

/** What is in both; each of them disjoint and in order. */
export function meet(some: readonly Span[], others: readonly Span[]): Span[] {
  const both: Span[] = [];
  let at = 0;
  for (const { fromMs, toMs } of some) {
    while ((others[at]?.toMs ?? Infinity) <= fromMs) at += 1;
    for (let next = at; (others[next]?.fromMs ?? Infinity) < toMs; next += 1) {
      const other = others[next];
      if (other === undefined) break;
      both.push({ fromMs: Math.max(fromMs, other.fromMs), toMs: Math.min(toMs, other.toMs) });
    }
  }
  return both;
}

/** What of one span is in none of the holes, which are disjoint and in order. */
export function without({ fromMs, toMs }: Span, holes: readonly Span[]): Span[] {
  const left: Span[] = [];
  let next = fromMs;
  for (const hole of holes) {
    if (hole.toMs <= next || hole.fromMs >= toMs) continue;
    if (hole.fromMs > next) left.push({ fromMs: next, toMs: hole.fromMs });
    next = hole.toMs;
  }
  if (next < toMs) left.push({ fromMs: next, toMs });
  return left;
}

export function lengthMs(spans: readonly Span[]): number {
  return spans.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
}
