import { createUser, fromPublic } from '@nats-io/nkeys';
import { describe, expect, it } from 'vitest';
import { nkeySigner } from '#protocol/nats/nkey.ts';

const NONCE = 'QK_1wZ0d3xk3a1s';

describe('nkeySigner', () => {
  it("proves what the client's own library would", () => {
    for (let round = 0; round < 20; round += 1) {
      const user = createUser();
      const { nkey, sig } = nkeySigner(user.getSeed())(NONCE);
      expect(nkey).toBe(user.getPublicKey());
      const proof = Buffer.from(sig, 'base64');
      expect(proof).toEqual(Buffer.from(user.sign(Buffer.from(NONCE))));
      expect(fromPublic(nkey).verify(Buffer.from(NONCE), proof)).toBe(true);
    }
  });

  it('signs nothing where the server asks for nothing', () => {
    const user = createUser();
    expect(nkeySigner(user.getSeed())()).toEqual({ nkey: user.getPublicKey(), sig: '' });
  });

  it('refuses a seed with any letter changed, and one cut short', () => {
    const seed = Buffer.from(createUser().getSeed()).toString('latin1');
    const signerOf = (text: string) => () => nkeySigner(Buffer.from(text));
    for (let at = 0; at < seed.length; at += 1) {
      // Not 'B': what 'A' and 'B' differ in is beyond the last byte where the letter is the last.
      const other = seed[at] === 'A' ? 'Q' : 'A';
      expect(signerOf(seed.slice(0, at) + other + seed.slice(at + 1))).toThrow('damaged');
    }
    expect(signerOf(seed.slice(0, -1))).toThrow('damaged');
    expect(signerOf('')).toThrow('damaged');
  });
});
