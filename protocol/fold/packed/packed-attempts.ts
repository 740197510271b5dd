/**
 * The attempts of a run that are over, as bytes in a few large blocks: a run of a million of them is a million
 * numbers, of where each one begins, and not a hundred million objects. Plain data, so that a snapshot keeps it
 * as it is.
 *
 *   block 0: | length, attempt | length, attempt | ...     An attempt's place is the number of its block
 *   block 1: | ...                                         times BLOCK_BYTES, and where it begins in it.
 *
 * 1. What is known of all of them once (property names, agents, units) is in `words`.
 * 2. One that changed is written where it was if it still fits, else anew: `wasted` counts what that leaves
 *    behind. `isWasteful` says when to write all of them into another store.
 */
import type { AttemptFold } from '../attempt-fold.ts';
import { Packer } from './pack-value.ts';
import { unpackValue, type Wanted } from './unpack-value.ts';
import { createWords, type Words } from './words.ts';

export interface PackedAttempts {
  words: Words;
  /** All but the last are full. An attempt that is larger than a block is one of its own. */
  blocks: Uint8Array[];
  /** Of the last block. */
  used: number;
  wasted: number;
}

const BLOCK_BYTES = 1 << 20;
/** A run of few tasks takes little. */
const FIRST_BYTES = 1 << 10;
const LENGTH_BYTES = 4;
/** Rather than to write all anew. */
const BEARABLE_BYTES = 1 << 20;

const packer = new Packer();

export function createPackedAttempts(): PackedAttempts {
  return { words: createWords(), blocks: [], used: 0, wasted: 0 };
}

/** Answers its place. */
export function addPacked(store: PackedAttempts, attempt: AttemptFold): number {
  return append(store, packer.pack(attempt, store.words));
}

/** Answers its place from now on. */
export function replacePacked(store: PackedAttempts, at: number, attempt: AttemptFold): number {
  const packed = packer.pack(attempt, store.words);
  const before = bytesAt(store, at);
  if (packed.length > before.length) {
    store.wasted += LENGTH_BYTES + before.length;
    return append(store, packed);
  }
  before.set(packed);
  return at;
}

export function readPacked(store: PackedAttempts, at: number): AttemptFold {
  return unpackValue(bytesAt(store, at), store.words) as AttemptFold;
}

/** Some of its properties, and of what is in them. */
export function readPart(store: PackedAttempts, at: number, wanted: Wanted): unknown {
  return unpackValue(bytesAt(store, at), store.words, wanted);
}

/** More is left behind than is in use. */
export function isWasteful({ blocks, wasted }: PackedAttempts): boolean {
  return wasted > BEARABLE_BYTES && wasted > (blocks.length * BLOCK_BYTES) / 2;
}

function append(store: PackedAttempts, packed: Uint8Array): number {
  const size = LENGTH_BYTES + packed.length;
  const block = roomFor(store, size);
  const from = store.used;
  view(block).setUint32(from, packed.length, true);
  block.set(packed, from + LENGTH_BYTES);
  store.used += size;
  return (store.blocks.length - 1) * BLOCK_BYTES + from;
}

function roomFor(store: PackedAttempts, size: number): Uint8Array {
  const { blocks, used } = store;
  const last = blocks.at(-1);
  if (last !== undefined && used + size <= last.length) return last;
  if (last === undefined || used + size > BLOCK_BYTES) {
    const first = blocks.length === 0 ? FIRST_BYTES : BLOCK_BYTES;
    const fresh = new Uint8Array(Math.max(first, size));
    blocks.push(fresh);
    store.used = 0;
    return fresh;
  }
  const grown = new Uint8Array(Math.min(BLOCK_BYTES, Math.max(last.length * 2, used + size)));
  grown.set(last);
  blocks[blocks.length - 1] = grown;
  return grown;
}

function bytesAt({ blocks }: PackedAttempts, at: number): Uint8Array {
  const block = blocks[Math.floor(at / BLOCK_BYTES)];
  if (block === undefined) throw new Error(`no attempt is packed at ${at}`);
  const from = at % BLOCK_BYTES;
  const length = view(block).getUint32(from, true);
  return block.subarray(from + LENGTH_BYTES, from + LENGTH_BYTES + length);
}

function view({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
