import { describe, expect, it } from 'vitest';
import { CATALOG, parseType, typeOf, type MessageName } from '#protocol/messages/catalog.ts';
import { decode, encode } from '#protocol/messages/envelope.ts';
import { upgrade } from '#protocol/messages/upgrade.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';

const names = Object.keys(CATALOG) as MessageName[];
const writer = { source: '/agents/a', instance: 'i', incarnation: 3 };

function roundTrip(change: (json: Record<string, unknown>) => void): ReturnType<typeof decode> {
  const bytes = encode({ name: 'run.started', data: {}, id: 'x', timeMs: 0, writer, seq: 7 });
  const json = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  change(json);
  return decode(new TextEncoder().encode(JSON.stringify(json)));
}

describe('envelope', () => {
  it.each(names)('%s survives encode and decode', (name) => {
    const decoded = decode(
      encode({ name, data: goldenMessages[name], id: 'x', timeMs: 0, writer, seq: 7 }),
    );
    expect(decoded).toEqual({
      kind: 'ok',
      message: {
        name,
        data: goldenMessages[name],
        id: 'x',
        source: '/agents/a',
        seq: 7,
        instance: 'i',
        incarnation: 3,
        epoch: null,
      },
    });
  });

  it('ignores unknown fields', () => {
    expect(roundTrip((json) => (json['later'] = 1))).toMatchObject({ kind: 'ok' });
  });

  it.each([
    [
      'an unknown type',
      (json: Record<string, unknown>) => (json['type'] = 'benchmesh.run.v1.sang'),
      /unknown message type benchmesh\.run\.v1\.sang/,
    ],
    [
      'a newer version',
      (json: Record<string, unknown>) => (json['type'] = 'benchmesh.run.v2.started'),
      /version 2 of run\.started is newer than 1/,
    ],
    [
      'another CloudEvents version',
      (json: Record<string, unknown>) => (json['specversion'] = '0.3'),
      /envelope: specversion/,
    ],
    ['no data', (json: Record<string, unknown>) => delete json['data'], /data/],
  ])('rejects %s, naming it', (_what, change, reason) => {
    const decoded = roundTrip(change);
    expect(decoded.kind).toBe('rejected');
    expect(decoded.kind === 'rejected' && decoded.reason).toMatch(reason);
  });

  it('rejects what is not JSON in UTF-8 without throwing', () => {
    expect(decode(new Uint8Array([0xff, 0xfe, 0])).kind).toBe('rejected');
    expect(decode(new TextEncoder().encode('{')).kind).toBe('rejected');
  });
});

describe('versions', () => {
  it('type and name map to each other for every message', () => {
    for (const name of names) {
      expect(parseType(typeOf(name))).toEqual({ name, version: CATALOG[name].version });
    }
  });

  it('refuses a version nothing upgrades from, and applies each step of those it can', () => {
    expect(upgrade('run.started', 0, { a: 1 })).toEqual({ kind: 'unsupported' });
    const table = {
      'run.started': {
        [-1]: (data: unknown) => [data, 'one'],
        0: (data: unknown) => [data, 'two'],
      },
    };
    expect(upgrade('run.started', -1, 'x', table)).toEqual({
      kind: 'ok',
      data: [['x', 'one'], 'two'],
    });
  });
});
