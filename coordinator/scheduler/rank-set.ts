/**
 * A set of ranks that knows its least. Bits by 32: a bit of a level says that a word of the level below
 * is not empty, so a set of 1,000,000 has four levels, and every operation costs one look at each.
 */
export interface RankSet {
  /** The ranks themselves first, one word last. */
  readonly levels: readonly Uint32Array[];
  count: number;
}

export function createRankSet(size: number): RankSet {
  const levels: Uint32Array[] = [];
  let words = size;
  do {
    words = Math.ceil(words / 32);
    levels.push(new Uint32Array(Math.max(1, words)));
  } while (words > 1);
  return { levels, count: 0 };
}

/** With every rank below `size` in it. */
export function fullRankSet(size: number): RankSet {
  const set = createRankSet(size);
  let bits = size;
  for (const level of set.levels) {
    level.fill(0xffffffff, 0, bits >>> 5);
    if ((bits & 31) !== 0) level[bits >>> 5] = 2 ** (bits & 31) - 1;
    bits = Math.ceil(bits / 32);
  }
  set.count = size;
  return set;
}

/** With room for every rank below `size`; the same set where it has that already. */
export function grownRankSet(set: RankSet, size: number): RankSet {
  const [ranks] = set.levels;
  if (ranks !== undefined && ranks.length * 32 >= size) return set;
  const grown = createRankSet(size);
  grown.count = set.count;
  if (set.count === 0) return grown;
  for (const [at, level] of grown.levels.entries()) {
    const known = set.levels[at];
    // Levels above the top of before say that its only word is not empty.
    if (known === undefined) level[0] = 1;
    else level.set(known);
  }
  return grown;
}

export function hasRank({ levels }: RankSet, rank: number): boolean {
  return (((levels[0]?.[rank >>> 5] ?? 0) >>> (rank & 31)) & 1) === 1;
}

/** False if it was there. */
export function addRank(set: RankSet, rank: number): boolean {
  if (hasRank(set, rank)) return false;
  let at = rank;
  for (const level of set.levels) {
    const word = level[at >>> 5] ?? 0;
    level[at >>> 5] = word | (1 << (at & 31));
    if (word !== 0) break;
    at >>>= 5;
  }
  set.count += 1;
  return true;
}

/** False if it was not there. */
export function removeRank(set: RankSet, rank: number): boolean {
  if (!hasRank(set, rank)) return false;
  let at = rank;
  for (const level of set.levels) {
    const word = (level[at >>> 5] ?? 0) & ~(1 << (at & 31));
    level[at >>> 5] = word;
    if (word !== 0) break;
    at >>>= 5;
  }
  set.count -= 1;
  return true;
}

/** Null where it is empty. */
export function leastRank({ levels, count }: RankSet): number | null {
  if (count === 0) return null;
  return levels.reduceRight((at, level) => at * 32 + lowestBit(level[at] ?? 0), 0);
}

/** How many of its ranks are lower. */
export function ranksBelow({ levels }: RankSet, rank: number): number {
  const words = levels[0] ?? new Uint32Array(1);
  let below = 0;
  for (let at = 0; at < rank >>> 5; at += 1) below += bitsOf(words[at] ?? 0);
  return below + bitsOf((words[rank >>> 5] ?? 0) & (2 ** (rank & 31) - 1));
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

function bitsOf(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
