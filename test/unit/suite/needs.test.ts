/** What may be written under `needs`, and what of it arrives at each task. */
import { describe, expect, it } from 'vitest';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { needClasses } from '#protocol/suite/task-needs.ts';
import { problemsOf, suiteOf } from './suite-of.ts';

const RUN = '2026-02-13_14-30-45-k3f9';
const needsOf = (text: string, more = '') => suiteOf(`run: [x]\nneeds: ${text}\n${more}`).needs;
const BASE = { slots: 1, cpus: 0, exclusive: true };

describe('needs', () => {
  it.each([
    ['{ memory: 16GiB }', { memoryMiB: 16_384 }],
    ['{ memory: 1500kB }', { memoryMiB: 2 }],
    ['{ host: gpu-* }', { host: ['gpu-*'] }],
    ['{ host: [a, b?] }', { host: ['a', 'b?'] }],
    ['{ place: pack }', { place: 'pack' }],
    ['{ place: spread }', {}],
    ['{ apart: x }', { apart: { key: 'x' } }],
    ['{ apart: { labels: { v: 1.10 } } }', { apart: { labels: { v: '1.10' } } }],
    [
      '{ labels: { zone: eu, v: 1.10, disk: { in: [nvme, 2] }, speed: { gte: 10, lt: "20" } } }',
      {
        labels: {
          zone: { in: ['eu'] },
          v: { in: ['1.10'] },
          disk: { in: ['nvme', '2'] },
          speed: { gte: 10, lt: 20 },
        },
      },
    ],
    [
      '{ labels: { spot: { exists: false }, x: { not: y }, z: { not: [a, b] } } }',
      { labels: { spot: { exists: false }, x: { not: ['y'] }, z: { not: ['a', 'b'] } } },
    ],
    [
      '{ gpus: { count: 2, name: "*H100*", memory: 40GiB, free: 30GiB, computeCapability: ">=8.0" } }',
      {
        gpus: {
          count: 2,
          name: '*H100*',
          memoryMiB: 40_960,
          freeMiB: 30_720,
          computeCapability: { gte: 8 },
        },
      },
    ],
    ['{ gpus: { count: 1, mig: false } }', { gpus: { count: 1, mig: false } }],
    ['{ gpus: { count: 1, mig: "3g.*" } }', { gpus: { count: 1, mig: '3g.*' } }],
    [
      '{ gpus: { count: 1, computeCapability: 8.9 } }',
      { gpus: { count: 1, computeCapability: { gte: 8.9, lte: 8.9 } } },
    ],
  ])('%s', (text, wanted) => {
    expect(needsOf(text)).toEqual({ ...BASE, ...wanted });
  });

  it.each([
    ['{ memory: 16 }', '2:18: needs.memory: must be a size with a unit'],
    ['{ memory: 0B }', 'needs.memory: must be a size with a unit'],
    ['{ host: [] }', 'needs.host: must not be empty'],
    ['{ place: random }', 'needs.place: must be'],
    ['{ labels: { "bad key": x } }', '2:20: needs.labels["bad key"]: the name of a label must be'],
    ['{ labels: { a: { like: x } } }', 'needs.labels.a.like: unknown key "like"'],
    ['{ labels: { a: { gte: many } } }', 'needs.labels.a.gte: must be a number, not "many"'],
    ['{ labels: { a: { exists: maybe } } }', 'needs.labels.a.exists: must be true or false'],
    ['{ labels: { a: {} } }', 'needs.labels.a: must be a value, or a map of in'],
    ['{ gpus: { name: x } }', 'needs.gpus.count: the key "count" is missing'],
    ['{ gpus: { count: 1, computeCapability: new } }', 'must be a number, or one after >='],
    ['{ slots: "{{n}}" }', '2:17: needs.slots: unknown name "{{n}}"; known: none.'],
    ['{ slots: "{{index}}" }', 'needs differ by axes and vars only'],
    ['{ memory: "{{n" }', 'needs.memory: "{{" is never closed'],
    ['{ locks: { db: 1 } }', '2:19: needs.locks.db: the suite does not say how many of "db"'],
    ['{ locks: { db: 5 } }', 'how many of "db" there are; add locks: { db: 5 }.'],
    ['{ locks: { db: "{{n}}" } }', 'add locks: { db: N }, N no less than what any task takes.'],
  ])('%s is refused', (text, problem) => {
    expect(problemsOf(`run: [x]\nneeds: ${text}\n`).join('\n')).toContain(problem);
  });

  it.each([
    [
      '{ locks: { db: 3 } }',
      '5:23: needs.locks.db: needs more of "db" than there are: 2 (locks.db)',
    ],
    [
      '{ locks: { db: "{{n}}" } }',
      'needs.locks.db: needs more of "db" than there are: 2 (locks.db); with n 3',
    ],
    [
      '{ slots: "{{n}}x" }',
      '5:17: needs.slots: must be a whole number, more than 0; with n 1 it is "1x"',
    ],
    ['{ gpus: { count: 1, memory: "{{n}}" } }', 'needs.gpus.memory: must be a size with a unit'],
    ['{ place: "{{n}}" }', 'needs.place: must be spread or pack; with n 1 it is "1"'],
  ])('%s is refused for its values', (text, problem) => {
    const suite = `run: [x]\naxes:\n  n: [1, 3]\nlocks: { db: 2 }\nneeds: ${text}\n`;
    expect(problemsOf(suite).join('\n')).toContain(problem);
  });
});

describe('needs of tasks', () => {
  const suite = suiteOf(`
run: [x]
vars: { least: 8GiB }
axes: { gpus: [1, 2], model: [a, b] }
include: [{ model: b, least: 16GiB }]
locks: { db: 9 }
needs:
  exclusive: false
  slots: 2
  memory: "{{least}}"
  gpus: { count: "{{gpus}}", name: "*{{model}}*" }
  locks: { db: "{{gpus}}" }
`);

  it('are those of their axes and vars, in the attempt too', () => {
    const tasks = expandTasks(suite);
    const made = tasks.map((task) => attemptSpec(suite, { run: RUN, task, n: 1 }).needs);
    expect(made.map(({ gpus, memoryMiB, locks }) => [gpus, memoryMiB, locks])).toEqual([
      [{ count: 1, name: '*a*' }, 8_192, { db: 1 }],
      [{ count: 1, name: '*b*' }, 16_384, { db: 1 }],
      [{ count: 2, name: '*a*' }, 8_192, { db: 2 }],
      [{ count: 2, name: '*b*' }, 16_384, { db: 2 }],
    ]);
    expect(suite.needs).toEqual({ slots: 2, cpus: 0, exclusive: false });
  });

  it('are of as many classes as differ', () => {
    const { classes, of } = needClasses(suite, expandTasks({ ...suite, repeats: 2 }));
    expect(classes).toHaveLength(4);
    expect([...(of ?? [])]).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    const same = suiteOf(
      'run: [x]\naxes: { a: [1, 2] }\nneeds: { slots: 2, pin: "{{yes}}" }\nvars: { yes: true }\n',
    );
    expect(needClasses(same, expandTasks(same))).toMatchObject({
      classes: [{ slots: 2 }],
      of: null,
    });
  });
});
