/**
 * Proves to the server that we hold an nkey, by Node's own Ed25519. The client's is pure JavaScript: a
 * connection took 20 to 100 ms of CPU for it, most of what a short command cost.
 *
 *   seed, base32:        2 bytes of prefix | 32 bytes of key | crc16 of both, little-endian
 *   public key, base32:  1 byte of prefix  | 32 bytes of key | crc16 of both, little-endian
 */
import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { MeshError } from '../messages/errors.ts';

export interface NkeyProof {
  /** The user's public key. */
  readonly nkey: string;
  /** Base64 of the signature over the server's nonce. */
  readonly sig: string;
}

const KEY_BYTES = 32;
const CRC_BYTES = 2;
const SEED_PREFIX = 18 << 3;
const USER_PREFIX = 20 << 3;
/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Signs nonces for the holder of a user's seed (`SU...`). Throws MeshError `config_invalid`. */
export function nkeySigner(seed: Uint8Array): (nonce?: string) => NkeyProof {
  const key = privateKeyOf(seed);
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const nkey = encodeKey(USER_PREFIX, spki.subarray(-KEY_BYTES));
  return (nonce) => {
    if (nonce === undefined || nonce === '') return { nkey, sig: '' };
    return { nkey, sig: sign(null, Buffer.from(nonce), key).toString('base64') };
  };
}

function privateKeyOf(seed: Uint8Array): KeyObject {
  const bytes = base32Bytes(Buffer.from(seed).toString('latin1'));
  const body = bytes.subarray(0, -CRC_BYTES);
  const [first = 0, second = 0] = body;
  const kind = ((first & 0b111) << 5) | (second >> 3);
  const isSeed =
    body.length === 2 + KEY_BYTES &&
    (first & 0b1111_1000) === SEED_PREFIX &&
    kind === USER_PREFIX &&
    crc16(body) === bytes.readUInt16LE(body.length);
  if (!isSeed)
    throw new MeshError('config_invalid', 'the nkey seed is damaged: its checksum does not match');
  return createPrivateKey({
    key: Buffer.concat([PKCS8_HEAD, body.subarray(2)]),
    format: 'der',
    type: 'pkcs8',
  });
}

function encodeKey(prefix: number, key: Uint8Array): string {
  const bytes = Buffer.alloc(1 + KEY_BYTES + CRC_BYTES);
  bytes.writeUInt8(prefix);
  bytes.set(key, 1);
  bytes.writeUInt16LE(crc16(bytes.subarray(0, 1 + KEY_BYTES)), 1 + KEY_BYTES);
  return base32Text(bytes);
}

/** RFC 4648, without padding. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function base32Text(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(held >> (bits - 5)) & 31] ?? '';
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + (ALPHABET[(held << (5 - bits)) & 31] ?? '');
}

/** What is no whole byte at the end is left out. */
function base32Bytes(text: string): Buffer {
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const letter of text) {
    held = (held << 5) | (ALPHABET.indexOf(letter) & 31);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push(held >> bits);
    held &= (1 << bits) - 1;
  }
  return Buffer.from(bytes);
}

/** CRC-16/XMODEM. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1)
      crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc;
}
