/** Mutations of messages: of every type, as they might come from a broken or a hostile sender. */
import fc from 'fast-check';
import { CATALOG, type MessageName } from '#protocol/messages/catalog.ts';
import { decode, encode } from '#protocol/messages/envelope.ts';
import { goldenMessages } from './golden-messages.ts';

const NAMES = Object.keys(CATALOG) as MessageName[];
const writer = { source: '/agents/a', instance: 'i', incarnation: 3 };
const ODD: readonly unknown[] = [
  ...[undefined, null, true, 0, -1, 0.5, 1e300, '', '7', 'x'.repeat(5_000), [], {}, [[]], [null]],
  ...[{ __proto__: null }, { toString: 1 }, Array.from({ length: 500 }, (_, i) => i), '\ud800'],
];

const change = fc.record({
  path: fc.array(fc.nat(30), { minLength: 1, maxLength: 5 }),
  odd: fc.constantFrom(...ODD),
});
const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.nat(255) });

/** The bytes of a message, as latin1, of which some fields are odd, and now and then some bytes. */
export const mutatedMessage: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(...NAMES),
    fc.array(change, { maxLength: 3 }),
    fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(edit, { maxLength: 4 })),
  )
  .map(([name, changes, edits]) => {
    const golden = encode({ name, data: goldenMessages[name], id: 'x', timeMs: 0, writer, seq: 7 });
    const json = JSON.parse(new TextDecoder().decode(golden)) as unknown;
    for (const { path, odd } of changes) spoil(json, path, structuredClone(odd));
    const bytes = Buffer.from(JSON.stringify(json));
    for (const { at, byte } of edits) bytes[Math.floor(at * bytes.length)] = byte;
    return bytes.toString('latin1');
  });

/** Puts `odd` in the place that the path leads to: the n-th field of the m-th field of it. */
function spoil(value: unknown, path: readonly number[], odd: unknown): void {
  const [first = 0, ...rest] = path;
  if (typeof value !== 'object' || value === null) return;
  const keys = Object.keys(value);
  const key = keys[first % Math.max(1, keys.length)];
  if (key === undefined) return;
  const fields = value as Record<string, unknown>;
  const inner = fields[key];
  if (rest.length === 0 || typeof inner !== 'object' || inner === null) fields[key] = odd;
  else spoil(inner, rest, odd);
}

/** A message as its schema says, that is the same when it is sent on; or a reason, in a line. */
export function checkMessage(text: string): void {
  const decoded = decode(Buffer.from(text, 'latin1'));
  if (decoded.kind === 'rejected') {
    const { reason, type } = decoded;
    if (reason.length + (type ?? '').length > 2_000) throw new Error('a reason without bound');
    return;
  }
  const { name, data, id } = decoded.message;
  const again = decode(encode({ name, data, id, timeMs: 0, writer, seq: 7 }));
  if (again.kind !== 'ok') throw new Error(again.reason);
  if (JSON.stringify(again.message.data) !== JSON.stringify(data)) throw new Error('not the same');
}
