/**
 * A plain value (what JSON can say, and undefined, holes and any number) as bytes without the names of its
 * properties. By whatever properties it has, so that a new one is no matter. `unpackValue` is its inverse.
 */
import { MOST_DIGITS, NEAR_SHAPES, NEAR_WORDS, SHORT_LISTS, SMALL_NUMBERS, TAG } from './tags.ts';
import { shapeNumber, textNumber, type Words } from './words.ts';

const POWERS = Array.from({ length: MOST_DIGITS + 1 }, (_, digits) => 10 ** digits);
/** Twice as much is counted exactly. */
const MOST_DECIMAL = 2 ** 52;
const LOW_BITS = 0x80;
/** At most as many say what a value is, and how long. */
const HEAD_BYTES = 16;
const LEAST_HEX = 8;
const HEX = /^(?:[0-9a-f]{2})+$/;
// eslint-disable-next-line no-control-regex -- every character of one byte
const LATIN = /^[\u0000-\u00ff]*$/;

/** Bytes in the making; used again for the next value, so that packing one makes nothing but its bytes. */
export class Packer {
  #bytes = Buffer.alloc(4_096);
  #at = 0;

  /** Good until the next is packed. */
  pack(value: unknown, words: Words): Uint8Array {
    this.#at = 0;
    this.#value(value, words);
    return this.#bytes.subarray(0, this.#at);
  }

  #value(value: unknown, words: Words): void {
    this.#room(HEAD_BYTES);
    if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'string') this.#text(value, words);
    else if (value === null) this.#byte(TAG.null);
    else if (typeof value === 'boolean') this.#byte(value ? TAG.true : TAG.false);
    else if (value === undefined) this.#byte(TAG.undefined);
    else if (Array.isArray(value)) this.#array(value, words);
    else if (typeof value === 'object') this.#object(value, words);
    else throw new Error(`a ${typeof value} cannot be packed`);
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      if (value >= 0 && value < SMALL_NUMBERS) this.#byte(value);
      else this.#whole(value);
      return;
    }
    for (let digits = 1; digits <= MOST_DIGITS; digits += 1) {
      const power = POWERS[digits] ?? NaN;
      const whole = Math.round(value * power);
      if (whole / power !== value || Math.abs(whole) > MOST_DECIMAL || whole === 0) continue;
      this.#counted(TAG.decimal + digits - 1, whole < 0 ? -2 * whole - 1 : 2 * whole);
      return;
    }
    this.#byte(TAG.double);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  #whole(value: number): void {
    this.#byte(value < 0 ? TAG.negative : TAG.positive);
    this.#count(Math.abs(value));
  }

  #text(text: string, words: Words): void {
    const number = textNumber(words, text);
    if (number !== null) {
      if (number < NEAR_WORDS) this.#byte(TAG.word + number);
      else this.#counted(TAG.text, number);
    } else if (text.length >= LEAST_HEX && HEX.test(text)) {
      this.#counted(TAG.hex, text.length / 2);
      this.#write(text, 'hex', text.length / 2);
    } else if (LATIN.test(text)) {
      this.#counted(TAG.latin, text.length);
      this.#write(text, 'latin1', text.length);
    } else {
      this.#counted(TAG.wide, text.length);
      this.#write(text, 'utf16le', text.length * 2);
    }
  }

  #array(list: readonly unknown[], words: Words): void {
    if (list.length < SHORT_LISTS) this.#byte(TAG.list + list.length);
    else this.#counted(TAG.array, list.length);
    for (let at = 0; at < list.length; at += 1) {
      if (at in list) this.#value(list[at], words);
      else this.#hole();
    }
  }

  #hole(): void {
    this.#room(HEAD_BYTES);
    this.#byte(TAG.hole);
  }

  #object(object: object, words: Words): void {
    const names = Object.keys(object);
    const values = object as Readonly<Record<string, unknown>>;
    const shape = shapeNumber(words, names);
    if (shape === null) this.#counted(TAG.named, names.length);
    else if (shape < NEAR_SHAPES) this.#byte(TAG.shape + shape);
    else this.#counted(TAG.object, shape);
    for (const name of names) {
      if (shape === null) this.#value(name, words);
      this.#value(values[name], words);
    }
  }

  #counted(tag: number, count: number): void {
    this.#byte(tag);
    this.#count(count);
  }

  /** By 7 bits a byte, the lowest first. */
  #count(value: number): void {
    let left = value;
    while (left >= LOW_BITS) {
      this.#byte((left % LOW_BITS) + LOW_BITS);
      left = Math.floor(left / LOW_BITS);
    }
    this.#byte(left);
  }

  /** There is room for those that say what a value is. */
  #byte(byte: number): void {
    this.#bytes[this.#at] = byte;
    this.#at += 1;
  }

  #write(text: string, encoding: BufferEncoding, length: number): void {
    this.#room(length);
    this.#bytes.write(text, this.#at, encoding);
    this.#at += length;
  }

  #room(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    const grown = Buffer.alloc(Math.max(this.#bytes.length * 2, this.#at + length));
    this.#bytes.copy(grown);
    this.#bytes = grown;
  }
}
