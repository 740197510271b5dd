/** The `limits` of a suite and of its commands. */
import { describe, expect, it } from 'vitest';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { problemsOf, suiteOf } from './suite-of.ts';

function limitsOf(text: string): Record<string, unknown> {
  const suite = suiteOf(text);
  const [task] = expandTasks(suite);
  if (task === undefined) throw new Error('no task');
  const { steps } = attemptSpec(suite, { run: '2026-02-13_14-30-45-k3f9', task, n: 1 });
  return Object.fromEntries(steps.map(({ id, limits }) => [id, limits]));
}

describe('limits', () => {
  it('of a command stand over those of the suite, key by key; a check has none', () => {
    expect(
      limitsOf(`
preflight: [{ file: /dev/null }, { exec: [p] }]
limits: { memory: 1GiB, openFiles: 64, lockedMemory: unlimited }
setup: { exec: [s], limits: { openFiles: 9, coreSize: 0B } }
run: [r]
`),
    ).toEqual({
      preflight: undefined,
      'preflight-2': {
        memoryBytes: 2 ** 30,
        each: { openFiles: 64, lockedMemory: 'unlimited' },
      },
      setup: {
        memoryBytes: 2 ** 30,
        each: { openFiles: 9, coreSize: 0, lockedMemory: 'unlimited' },
      },
      run: { memoryBytes: 2 ** 30, each: { openFiles: 64, lockedMemory: 'unlimited' } },
    });
  });

  it('are absent from a suite without', () => {
    expect(limitsOf('run: [r]')).toEqual({ run: undefined });
  });

  it.each([
    ['limits: { memory: 5 }', ['2:19: limits.memory: must be a size with a unit']],
    ['limits: { memory: unlimited }', ['2:19: limits.memory: must be a size with a unit']],
    ['limits: { processes: 0 }', ['2:22: limits.processes: must be more than 0']],
    [
      'limits: { proceses: 1 }',
      ['2:11: limits.proceses: unknown key "proceses". Did you mean "processes"?'],
    ],
    ['limits: 5', ['2:9: limits: must be a map']],
    [
      'preflight: { file: /x, limits: { openFiles: 5 } }',
      ['2:32: preflight.limits: belongs to exec and shell only'],
    ],
  ])('%s', (line, problems) => {
    expect(problemsOf(`run: [r]\n${line}`)).toEqual(
      problems.map((problem) => expect.stringContaining(problem) as string),
    );
  });
});
