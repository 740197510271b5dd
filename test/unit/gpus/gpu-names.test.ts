/** What GPUs are called in reasons: each can be told from the others, and none is longer than it must be. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shortGpuName } from '#protocol/messages/agent/gpu-names.ts';

const UUID = 'GPU-1a2b3c4d-0000-0000-0000-00000000000';
const one = (id: string, index: number | null, kind: 'gpu' | 'mig' = 'gpu') => ({
  id,
  index,
  kind,
});
const names = (all: ReturnType<typeof one>[]): string[] => all.map((gpu) => shortGpuName(gpu, all));

it.each([
  ['by its number', [one('GPU-a', 0), one('GPU-b', 1)], ['GPU 0', 'GPU 1']],
  [
    'and its id where one that is gone had the same',
    [one('GPU-0b1cdef0-1', 0), one('GPU-77777777-1', 0), one('GPU-b', 1)],
    ['GPU 0 (GPU-0b1cdef0)', 'GPU 0 (GPU-77777777)', 'GPU 1'],
  ],
  [
    'and the whole of it where the beginning does not tell',
    [one(`${UUID}1`, 0), one(`${UUID}2`, 0)],
    [`GPU 0 (${UUID}1)`, `GPU 0 (${UUID}2)`],
  ],
  [
    'beside instances of MIG, which are counted per GPU',
    [one('GPU-a', 0), one('MIG-aaaaaaaa-1', 0, 'mig'), one('MIG-bbbbbbbb-1', 0, 'mig')],
    ['GPU 0', 'MIG device 0 (MIG-aaaaaaaa)', 'MIG device 0 (MIG-bbbbbbbb)'],
  ],
  ['by its place where it has no number', [one('0000:01:00.0', null)], ['GPU 0000:01:00.0']],
])('%s', (_what, all, expected) => {
  expect(names(all)).toEqual(expected);
});

it('no two alike', () => {
  const gpu = fc.record({
    id: fc.string({ minLength: 1, maxLength: 16, unit: fc.constantFrom('a', 'b') }),
    index: fc.option(fc.nat(2), { nil: null }),
    kind: fc.constantFrom('gpu' as const, 'mig' as const),
  });
  const host = fc.uniqueArray(gpu, { selector: ({ id }) => id, maxLength: 8 });
  fc.assert(
    fc.property(host, (all) => {
      expect(new Set(names(all)).size).toBe(all.length);
    }),
  );
});
