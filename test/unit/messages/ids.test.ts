import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRunId, isToken, newId, newRunId, taskId } from '#protocol/messages/ids.ts';
import { formatChunks, parseChunks, type LogChunk } from '#protocol/messages/attempt/log.ts';

describe('ids', () => {
  it.each(['', 'a.b', 'a b', 'a*', '>', 'all', 'x\n', 'x\r', 'ä', 'x'.repeat(65)])(
    '%j is no token',
    (text) => {
      expect(isToken(text)).toBe(false);
    },
  );

  it('run ids are UTC, sort by time and are tokens', () => {
    const early = newRunId(new Date('2026-02-13T14:30:45.999Z'));
    const late = newRunId(new Date('2026-02-13T14:30:46.000Z'));
    expect(early.slice(0, 19)).toBe('2026-02-13_14-30-45');
    expect(early < late).toBe(true);
    expect(isRunId(early) && isToken(early)).toBe(true);
  });

  it.each([
    ['2026-02-13_14-30-45-k3f9', true],
    ['2028-02-29_23-59-59-k3f9', true],
    ['2026-13-01_08-00-00-abcd', false],
    ['2026-02-29_08-00-00-abcd', false],
    ['2026-04-31_08-00-00-abcd', false],
    ['2026-01-00_08-00-00-abcd', false],
    ['2026-01-01_24-00-00-abcd', false],
    ['2026-01-01_08-60-00-abcd', false],
    ['2026-01-01_08-00-60-abcd', false],
    ['2026-1-01_08-00-00-abcd', false],
  ])('%s is a run id: %s', (text, is) => {
    expect(isRunId(text)).toBe(is);
  });

  it('run ids of one second sort by the millisecond, whatever the random part', () => {
    const ids = Array.from({ length: 1_000 }, (_, ms) =>
      newRunId(new Date(Date.UTC(2026, 1, 13, 14, 30, 45, ms)), () =>
        Uint8Array.of(255 - (ms % 256), ms % 7),
      ),
    );
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids.map((id) => id.slice(0, 22))).size).toBe(1_000);
    expect(ids.every(isRunId)).toBe(true);
  });

  it('run ids spell no word', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 2 }), fc.nat(999), (bytes, ms) => {
        const id = newRunId(new Date(Date.UTC(2026, 1, 13, 14, 30, 45, ms)), () => bytes);
        expect(isRunId(id)).toBe(true);
        expect(id.slice(-2)).toMatch(/\d/);
      }),
    );
  });

  it('a task id depends on the values and the repeat, not on the order of the axes', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean())),
        fc.integer({ min: 1, max: 9 }),
        (axes, repeat) => {
          const reversed = Object.fromEntries(Object.entries(axes).reverse());
          expect(taskId(reversed, repeat)).toBe(taskId(axes, repeat));
          expect(taskId(axes, repeat + 1)).not.toBe(taskId(axes, repeat));
          expect(isToken(taskId(axes, repeat))).toBe(true);
        },
      ),
    );
    expect(taskId({ a: 1 }, 1)).not.toBe(taskId({ a: '1' }, 1));
  });

  it('random ids do not repeat', () => {
    expect(new Set(Array.from({ length: 1000 }, () => newId())).size).toBe(1000);
  });
});

describe('log chunks', () => {
  it('survive the header', () => {
    const chunk = fc.record({
      stream: fc.constantFrom('stdout' as const, 'stderr' as const),
      bytes: fc.nat(),
      arrivalMs: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(chunk), (chunks: LogChunk[]) => {
        expect(parseChunks(formatChunks(chunks))).toEqual(chunks);
      }),
    );
  });

  it.each(['x:1:1', 'o:-1:1', 'o:1', 'o:1:1,'])('%j is malformed', (header) => {
    expect(parseChunks(header)).toBeNull();
  });
});
