/**
 * What many packed values have in common is kept once: the names of their properties (a shape), and texts that
 * come again, like agents, units and reasons. Plain data, and bounded (I12): what finds no room in it is
 * written out.
 */
export interface Words {
  readonly texts: string[];
  readonly numbers: Map<string, number>;
  /** Texts that came once, lately: one that comes again is given a number. */
  readonly once: Set<string>;
  readonly shapes: (readonly string[])[];
  readonly shapeNumbers: Map<string, number>;
}

const MOST_TEXTS = 65_536;
const LONGEST_TEXT = 256;
/** Among as many other texts one is known again. */
const MOST_ONCE = 16_384;
const MOST_SHAPES = 4_096;

export function createWords(): Words {
  return {
    texts: [],
    numbers: new Map(),
    once: new Set(),
    shapes: [],
    shapeNumbers: new Map(),
  };
}

/** Null where the text has to be written out. */
export function textNumber(words: Words, text: string): number | null {
  const known = words.numbers.get(text);
  if (known !== undefined) return known;
  if (text.length > LONGEST_TEXT || words.texts.length >= MOST_TEXTS) return null;
  if (!words.once.delete(text)) {
    if (words.once.size >= MOST_ONCE) words.once.clear();
    words.once.add(text);
    return null;
  }
  words.numbers.set(text, words.texts.length);
  return words.texts.push(text) - 1;
}

/** Null where the names have to be written out. */
export function shapeNumber(words: Words, names: readonly string[]): number | null {
  const key = names.join('\n');
  const known = words.shapeNumbers.get(key);
  if (known !== undefined) return isShape(words.shapes[known], names) ? known : null;
  if (words.shapes.length >= MOST_SHAPES) return null;
  words.shapeNumbers.set(key, words.shapes.length);
  return words.shapes.push(names) - 1;
}

/** A name may have a line's end in it. */
function isShape(shape: readonly string[] | undefined, names: readonly string[]): boolean {
  return shape?.length === names.length && shape.every((name, at) => name === names[at]);
}
