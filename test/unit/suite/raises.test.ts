/** Retries that raise what a further attempt needs: how they are written, and what comes of them. */
import { describe, expect, it } from 'vitest';
import { raisedNeeds, raisedText, raisedWithin, raisesText } from '#protocol/suite/raised-needs.ts';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { countGpus } from '#protocol/messages/agent/gpu-counts.ts';
import { problemsOf, suiteOf } from './suite-of.ts';

const NEEDS =
  'needs: { memory: 8GiB, cpus: 2, exclusive: false, gpus: { count: 1, memory: 16GiB } }';
describe('a rule of retries', () => {
  it('says by what an amount is raised, and how far', () => {
    const suite = suiteOf(`
run: [./bench]
${NEEDS}
retries:
  oom: { most: 2, memory: x2, vram: { by: +8GiB, upTo: 80GiB } }
  timeout: { most: 1, cpus: { by: "+2", upTo: 8 }, slots: x1.5, backoff: 1s }
  exit: 1
`);
    expect(suite.retries).toEqual({ oom: 2, timeout: 1, exit: 1 });
    expect(suite.retryRaises).toEqual({
      oom: { memoryMiB: { times: 2 }, vramMiB: { plus: 8_192, upTo: 81_920 } },
      timeout: { cpus: { plus: 2, upTo: 8 }, slots: { times: 1.5 } },
    });
    expect(raisesText(suite.retryRaises?.oom ?? {})).toBe('memory x2, vram +8 GiB up to 80 GiB');
  });

  it.each([
    [
      'memory: 2',
      /^suite.yaml:3:\d+: retries.oom.memory: must be a factor above 1 or what is added/,
    ],
    ['memory: x1', /retries.oom.memory: must be a factor/],
    ['memory: x0.5', /retries.oom.memory: must be a factor/],
    ['memory: "+8"', /retries.oom.memory: must be a factor/],
    ['cpus: +2', /retries.oom.cpus: .*in quotes/],
    ['memory: { by: x2, upTo: 8 }', /retries.oom.memory.upTo: must be a size/],
  ])('that says %s is refused, where it is written', (rule, message) => {
    const found = problemsOf(`run: [x]\n${NEEDS}\nretries: { oom: { most: 1, ${rule} } }\n`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  it('raises only what the suite asks for', () => {
    const rules = 'most: 1, memory: x2, cpus: x2, vram: x2, slots: x2';
    expect(problemsOf(`run: [x]\nretries: { oom: { ${rules} } }\n`)).toEqual([
      expect.stringMatching(
        /^suite.yaml:2:\d+: retries.oom.memory: raises needs.memory, which is not given/,
      ),
      expect.stringMatching(/retries.oom.cpus: raises needs.cpus, which is not given/),
      expect.stringMatching(/retries.oom.vram: raises needs.gpus.memory, which is not given/),
      expect.stringMatching(/retries.oom.slots: raises nothing: the task takes its whole host/),
    ]);
    expect(problemsOf(`run: [x]\n${NEEDS}\nretries: { lost: { most: 1, memory: x2 } }\n`)).toEqual([
      expect.stringContaining('says nothing of what the task needs'),
    ]);
    expect(problemsOf('run: { shell: x, limits: { memory: needs } }\n')).toEqual([
      expect.stringMatching(
        /^suite.yaml:1:\d+: run.limits.memory: follows needs.memory, which is not given/,
      ),
    ]);
  });
});

describe('raised needs', () => {
  const needs = { slots: 1, cpus: 2, exclusive: false, memoryMiB: 3 };
  const offer = { priority: 0, suite: '', labels: {} };
  const host = (id: string, memoryMiB: number, cpus = 8) => ({
    ...{ id, hostId: id, slots: 4, cpus, memoryMiB, gpus: [], counts: countGpus([]) },
    ...{ names: [id], labels: {}, accepts: null },
  });

  it('are never less, have limits, and leave alone what is not asked for', () => {
    expect(raisedNeeds(needs, { memoryMiB: { times: 1.5 }, cpus: { plus: 1 } })).toEqual({
      ...needs,
      memoryMiB: 5,
      cpus: 3,
    });
    expect(raisedNeeds(needs, { memoryMiB: { plus: 9, upTo: 2 }, vramMiB: { times: 2 } })).toEqual(
      needs,
    );
    expect(raisedText(needs, { ...needs, memoryMiB: 2_048 })).toBe(
      '2 GiB of memory (3 MiB of memory before)',
    );
  });

  it('are what a host could give at most, and nothing where none could give more', () => {
    const of = (hosts: ReturnType<typeof host>[]) =>
      raisedWithin(hosts, { needs, raises: { memoryMiB: { times: 2 } }, offer });
    expect(of([host('a', 100), host('b', 5)])).toEqual({
      kind: 'raised',
      needs: { ...needs, memoryMiB: 6 },
    });
    expect(of([host('a', 4), host('b', 5), host('c', 100, 1)])).toEqual({
      kind: 'raised',
      needs: { ...needs, memoryMiB: 5 },
    });
    expect(of([host('a', 3), host('c', 100, 1)])).toMatchObject({
      kind: 'unplaceable',
      nearest: { agent: 'a', reason: { kind: 'never', of: 'memory', needs: 6, has: 3 } },
    });
    const atLimit = { memoryMiB: { times: 2, upTo: 3 } };
    expect(raisedWithin([host('a', 3)], { needs, raises: atLimit, offer }).kind).toBe('same');
  });
});

it('a limit of memory follows the needs of the attempt', () => {
  const suite = suiteOf(`
setup: { shell: x, limits: { memory: 1GiB } }
run: [./bench]
needs: { memory: 8GiB }
limits: { memory: needs, openFiles: 10 }
`);
  const [task] = expandTasks(suite);
  if (task === undefined) throw new Error('no task');
  const limitsOf = (needs: typeof suite.needs | null) =>
    attemptSpec(suite, { run: 'r', task, n: 1, needs }).steps.map(({ limits }) => limits);
  const GIB = 1024 ** 3;
  const each = { openFiles: 10 };
  expect(limitsOf(null)).toEqual([
    { memoryBytes: GIB, each },
    { memoryBytes: 8 * GIB, each },
  ]);
  expect(limitsOf({ ...suite.needs, memoryMiB: 16_384 })).toEqual([
    { memoryBytes: GIB, each },
    { memoryBytes: 16 * GIB, each },
  ]);
});
