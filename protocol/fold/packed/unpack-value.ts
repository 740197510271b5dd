/** Packed values as they were (pack-value.ts), all of one or only some of its properties. */
import { SMALL_NUMBERS, TAG } from './tags.ts';
import type { Words } from './words.ts';

const LOW_BITS = 0x80;
const WIDE = 2;

/** Names of properties, of objects within objects too; null for all. */
export type Wanted = ReadonlySet<string> | null;

type Plain = Record<string, unknown>;

class Unpacker {
  readonly #bytes: Buffer;
  readonly #words: Words;
  readonly #wanted: Wanted;
  #at = 0;

  constructor(bytes: Uint8Array, words: Words, wanted: Wanted) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#words = words;
    this.#wanted = wanted;
  }

  /** `isAll`: nothing is read after it, so what nobody wants at its end is not even passed. */
  value(isAll = false): unknown {
    const tag = this.#byte();
    if (tag < SMALL_NUMBERS) return tag;
    if (tag >= TAG.word) return this.#words.texts[tag - TAG.word];
    if (tag >= TAG.list) return this.#array(tag - TAG.list);
    if (tag >= TAG.shape) return this.#object(tag - TAG.shape, isAll);
    if (tag >= TAG.decimal) {
      return this.#decimal(10 ** (tag - TAG.decimal + 1));
    }
    switch (tag) {
      case TAG.null:
        return null;
      case TAG.true:
        return true;
      case TAG.false:
        return false;
      case TAG.undefined:
        return undefined;
      case TAG.positive:
        return this.#count();
      case TAG.negative:
        return -this.#count();
      case TAG.double:
        this.#at += 8;
        return this.#bytes.readDoubleLE(this.#at - 8);
      case TAG.text:
        return this.#words.texts[this.#count()];
      case TAG.latin:
        return this.#text('latin1', this.#count());
      case TAG.wide:
        return this.#text('utf16le', this.#count() * WIDE);
      case TAG.hex:
        return this.#text('hex', this.#count());
      case TAG.array:
        return this.#array(this.#count());
      case TAG.object:
        return this.#object(this.#count(), isAll);
      case TAG.named:
        return this.#named(this.#count());
      default:
        throw new Error(`${tag} begins no packed value`);
    }
  }

  #decimal(power: number): number {
    const count = this.#count();
    return (count % 2 === 0 ? count / 2 : -(count + 1) / 2) / power;
  }

  #array(length: number): unknown[] {
    const list: unknown[] = [];
    for (let at = 0; at < length; at += 1) {
      if (this.#bytes[this.#at] === TAG.hole) {
        this.#at += 1;
        list.length = at + 1;
      } else list[at] = this.value();
    }
    return list;
  }

  #object(shape: number, isAll: boolean): Plain {
    const names = this.#words.shapes[shape] ?? [];
    const wanted = this.#wanted;
    const length =
      isAll && wanted !== null ? names.findLastIndex((name) => wanted.has(name)) + 1 : names.length;
    const object: Plain = {};
    for (let at = 0; at < length; at += 1) this.#property(object, names[at] ?? '');
    return object;
  }

  #named(count: number): Plain {
    const object: Plain = {};
    for (let at = 0; at < count; at += 1) this.#property(object, this.value() as string);
    return object;
  }

  #property(object: Plain, name: string): void {
    if (this.#wanted?.has(name) === false) this.#skip();
    else if (name === '__proto__') define(object, name, this.value());
    else object[name] = this.value();
  }

  /** Past one value, making nothing of it. */
  #skip(): void {
    let left = 1;
    while (left > 0) {
      left -= 1;
      const tag = this.#byte();
      if (tag < SMALL_NUMBERS || tag >= TAG.word) continue;
      if (tag >= TAG.list) left += tag - TAG.list;
      else if (tag >= TAG.shape) left += this.#words.shapes[tag - TAG.shape]?.length ?? 0;
      else if (tag >= TAG.decimal) this.#count();
      else if (tag === TAG.double) this.#at += 8;
      else if (tag === TAG.positive || tag === TAG.negative || tag === TAG.text) this.#count();
      else if (tag === TAG.latin || tag === TAG.hex) this.#pass(this.#count());
      else if (tag === TAG.wide) this.#pass(this.#count() * WIDE);
      else if (tag === TAG.array) left += this.#count();
      else if (tag === TAG.object) left += this.#words.shapes[this.#count()]?.length ?? 0;
      else if (tag === TAG.named) left += this.#count() * 2;
    }
  }

  #pass(length: number): void {
    this.#at += length;
  }

  #text(encoding: BufferEncoding, length: number): string {
    this.#at += length;
    return this.#bytes.toString(encoding, this.#at - length, this.#at);
  }

  #count(): number {
    let value = 0;
    for (let factor = 1; ; factor *= LOW_BITS) {
      const byte = this.#byte();
      value += (byte % LOW_BITS) * factor;
      if (byte < LOW_BITS) return value;
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Error('a packed value ends too early');
    this.#at += 1;
    return byte;
  }
}

/** Whatever its name is: assigned, this one is another thing. */
function define(object: Plain, name: string, value: unknown): void {
  Object.defineProperty(object, name, {
    ...{ value, configurable: true, enumerable: true, writable: true },
  });
}

export function unpackValue(bytes: Uint8Array, words: Words, wanted: Wanted = null): unknown {
  return new Unpacker(bytes, words, wanted).value(true);
}
