/** Which GPUs of a host the result of an attempt is about. */
import { describe, expect, it } from 'vitest';
import { seenBy, type GpuScope } from '#agent/telemetry/gpu-scope.ts';
import { goldenHostSampled } from '#test/support/golden-host-sampled.ts';

const [golden] = goldenHostSampled.samples;
const [gpu] = golden?.gpus ?? [];
if (golden === undefined || gpu === undefined) throw new Error('no golden sample');
const FOREIGN = [{ pid: 9, name: 'theirs' }];
const host = {
  ...golden,
  gpuReason: 'slow',
  gpus: ['A', 'B', 'C'].map((id, index) => ({ ...gpu, id, index, foreign: FOREIGN })),
};

const seen = (scope: GpuScope): string[] =>
  seenBy(host, scope, () => []).gpus.map(
    ({ id, foreign }) => `${id} ${foreign === null ? '?' : foreign.length}`,
  );

describe('an attempt sees', () => {
  it.each<[string, GpuScope, string[]]>([
    [
      'the GPUs it was given',
      { given: [{ id: 'B' }, { id: 'C' }], isExclusive: false },
      ['B 0', 'C 0'],
    ],
    [
      'no others, though it has the host to itself',
      { given: [{ id: 'A' }], isExclusive: true },
      ['A 0'],
    ],
    [
      'all of them, where it has the host to itself',
      { given: [], isExclusive: true },
      ['A 1', 'B 1', 'C 1'],
    ],
    ['none, where it shares the host', { given: [], isExclusive: false }, []],
    [
      'the card of its MIG instance, whoever else is on it',
      { given: [{ id: 'MIG-1', parent: 'C' }], isExclusive: false },
      ['C ?'],
    ],
    ['none of those that are not there', { given: [{ id: 'X' }], isExclusive: false }, []],
  ])('%s', (_name, scope, expected) => {
    expect(seen(scope)).toEqual(expected);
  });

  it('a trouble of the tool only where it could have GPUs', () => {
    const reasons = [true, false].map(
      (isExclusive) => seenBy(host, { given: [], isExclusive }, () => []).gpuReason,
    );
    expect(reasons).toEqual(['slow', null]);
  });
});
