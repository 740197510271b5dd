/** The first byte of a packed value: what it is, and of small ones all of it. */
export const TAG = {
  /** 0 to 47 themselves. */
  number: 0,
  null: 48,
  true: 49,
  false: 50,
  undefined: 51,
  /** Of an array. */
  hole: 52,
  /** Whole numbers: how far from 0, by 7 bits a byte. */
  positive: 53,
  negative: 54,
  double: 55,
  /** Length in characters, then one byte or two of each. */
  latin: 56,
  wide: 57,
  /** Length in bytes. */
  hex: 58,
  text: 59,
  array: 60,
  object: 61,
  /** Names and values by turns. */
  named: 62,
  /** + digits behind the point, less one; then the digits as a whole number, twice, less one below 0. */
  decimal: 64,
  /** + its number: of the first shapes. */
  shape: 80,
  /** + its length. */
  list: 112,
  /** + its number: of the first texts. */
  word: 128,
} as const;

export const SMALL_NUMBERS = 48;
export const MOST_DIGITS = 9;
export const NEAR_SHAPES = TAG.list - TAG.shape;
export const SHORT_LISTS = TAG.word - TAG.list;
export const NEAR_WORDS = 256 - TAG.word;
