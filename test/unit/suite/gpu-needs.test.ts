/** What may be written about GPUs, and what of it arrives. */
import { describe, expect, it } from 'vitest';
import { problemsOf, suiteOf } from './suite-of.ts';

const needsOf = (text: string) => suiteOf(`run: [x]\nneeds: ${text}\n`).needs;

describe('needs.gpus', () => {
  it.each([
    ['{ cpus: 1 }', undefined],
    ['{ gpus: 0 }', { count: 0 }],
    ['{ gpus: 2 }', { count: 2 }],
    ['{ gpus: { count: 2 } }', { count: 2 }],
  ])('%s', (text, gpus) => {
    expect(needsOf(text).gpus).toEqual(gpus);
  });

  it.each([
    [
      '{ gpus: { count: 1, model: H100 } }',
      'needs.gpus.model: unknown key "model". Known: count, name, memory, free, computeCapability, mig.',
    ],
    [
      '{ gpus: many }',
      'needs.gpus: must be a number of GPUs, such as 2, or { count: 2 }, not "many"',
    ],
    ['{ gpus: -1 }', 'needs.gpus'],
  ])('%s is refused', (text, problem) => {
    expect(problemsOf(`run: [x]\nneeds: ${text}\n`).join()).toContain(problem);
  });
});
