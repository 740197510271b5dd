/** `needs.hosts` and `gang` of a suite. */
import { describe, expect, it } from 'vitest';
import { expandTasks } from '#protocol/suite/expand.ts';
import { gangRulesOf } from '#protocol/suite/gang-form.ts';
import { problemsOf, suiteOf } from './suite-of.ts';

function rulesOf(text: string, n = 1): ReturnType<typeof gangRulesOf>[] {
  const suite = suiteOf(text);
  return expandTasks(suite).map((task) => gangRulesOf(suite, { task, n }));
}

describe('a task on several hosts', () => {
  it('begins its run together, by default, and meets at a port of its own for each attempt', () => {
    const text = 'axes: { x: [1, 2] }\nsetup: [s]\nrun: [[r], [q]]\nneeds: { hosts: 3 }';
    expect(suiteOf(text).needs).toMatchObject({ hosts: 3 });
    const [one, two] = rulesOf(text);
    expect(one?.barriers).toEqual(['run']);
    const ports = [one, two, ...rulesOf(text, 2)].map((rules) => rules?.port ?? 0);
    expect(new Set(ports).size).toBe(4);
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(20_000);
    expect(Math.max(...ports)).toBeLessThan(30_000);
  });

  it('has the barriers and the port that the suite names, in the order of the steps', () => {
    const text =
      'setup: [s]\nload: [l]\nrun: [r]\nneeds: { hosts: 2 }\ngang: { barriers: [run, setup], port: 29500 }';
    expect(rulesOf(text)).toEqual([{ barriers: ['setup', 'run'], port: 29_500 }]);
    expect(rulesOf('run: [r]\nneeds: { hosts: 2 }\ngang: { barriers: [] }')).toMatchObject([
      { barriers: [] },
    ]);
  });

  it('of one host is a task as any other', () => {
    expect(suiteOf('run: [r]\nneeds: { hosts: 1 }').needs).not.toHaveProperty('hosts');
  });

  it('says of a metric how the values of its ranks become one', () => {
    const text = (more: string): string => `run: [r]\nmetrics:\n  - { name: m, unit: s, ${more} }`;
    expect(suiteOf(text('report: mean, across: sum')).metrics).toMatchObject([{ across: 'sum' }]);
    expect(suiteOf(text('report: mean')).metrics[0]).not.toHaveProperty('across');
    expect(problemsOf(text("regex: '(?<value>1)', across: merge"))).toEqual([
      expect.stringContaining('metrics[0].across: merge belongs to report only') as string,
    ]);
    expect(problemsOf(text('report: mean, across: median'))).toHaveLength(1);
  });

  it('begins its run in steps where it has a ramp', () => {
    const text =
      'run: [r]\nneeds: { hosts: 4 }\ngang: { ramp: { steps: [1, 4], every: 30s, until: { metric: requests.rate, gain: 2.5% } } }';
    expect(suiteOf(text).gang).toEqual({
      ramp: { steps: [1, 4], everyMs: 30_000, until: { metric: 'requests.rate', gain: 0.025 } },
    });
  });

  it.each([
    ['steps: [2, 1], every: 1s', 'gang.ramp.steps: must grow from one to the next'],
    ['steps: [1, 2], every: 1s', 'gang.ramp.steps: must end with all ranks, 4 (needs.hosts)'],
    ['steps: [1, 4]', 'gang.ramp.every: the key "every" is missing'],
    ['steps: [1, 4], every: 30', 'gang.ramp.every: must be a duration with a unit'],
    ['steps: [1, 4], every: 1s, until: { metric: m, gain: 5 }', 'until.gain: must be a share'],
    [
      'steps: [1, 4], every: 1s, until: { metric: x, gain: 5% }',
      'until.metric: the suite has no such metric',
    ],
    [
      'steps: [1, 4], every: 1s, until: { metric: read, gain: 5% }',
      'until.metric: is read at the end of the run',
    ],
    ['steps: [1, 4], every: 1s, until: { metric: flat, gain: 5% }', 'needs a direction'],
  ])('ramp: { %s }', (ramp, problem) => {
    const metrics = [
      "{ name: read, unit: s, direction: lower, regex: '(?<value>1)' }",
      '{ name: flat, unit: s, report: mean }',
      '{ name: m, unit: s, direction: lower, report: mean }',
    ];
    const text = `run: [r]\nneeds: { hosts: 4 }\nmetrics: [${metrics.join(', ')}]\ngang: { ramp: { ${ramp} } }`;
    const problems = problemsOf(text);
    expect(problems).toEqual([expect.stringContaining(problem) as string]);
    expect(problems[0]).toMatch(/:4:\d+: /);
  });

  it('a ramp needs one run, and run among the barriers', () => {
    const ramp = 'ramp: { steps: [1, 2], every: 1s }';
    expect(problemsOf(`run: [[a], [b]]\nneeds: { hosts: 2 }\ngang: { ${ramp} }`)).toEqual([
      expect.stringContaining('gang.ramp: needs run to be one command') as string,
    ]);
    expect(
      problemsOf(`load: [l]\nrun: [a]\nneeds: { hosts: 2 }\ngang: { barriers: [load], ${ramp} }`),
    ).toEqual([expect.stringContaining('gang.barriers: must hold run') as string]);
  });

  it('ends with a rank that is lost, or looks for another host for so long', () => {
    const text = (gang: string): string => `run: [r]\nneeds: { hosts: 2 }\ngang: { ${gang} }`;
    expect(suiteOf(text('onRankLost: { replaceWithin: 90s }')).gang).toEqual({
      onRankLost: { replaceWithinMs: 90_000 },
    });
    expect(suiteOf(text('onRankLost: end')).gang).toEqual({});
  });

  it.each([
    ['onRankLost: replace', '3:21: gang.onRankLost: must be end, or how long'],
    ['onRankLost: { replaceWithin: 2 }', '3:38: gang.onRankLost'],
    ['onRankLost: { replaceWithin: 0s }', '3:38: gang.onRankLost'],
    [
      'onRankLost: { replaceWithin: 2m }, ramp: { steps: [1, 2], every: 1s }',
      '3:21: gang.onRankLost: a gang with a ramp cannot replace its ranks',
    ],
    [
      'onRankLost: { replaceWithin: 2m } }\nonLost: wait #',
      '3:21: gang.onRankLost: with onLost: wait no rank is ever given up',
    ],
  ])('gang: { %s }', (gang, problem) => {
    const text = `run: [r]\nneeds: { hosts: 2 }\ngang: { ${gang} }`;
    expect(problemsOf(text)).toEqual([expect.stringContaining(problem) as string]);
  });

  it.each([
    ['needs: { hosts: 0 }', '2:17: needs.hosts: must be more than 0'],
    ['gang: { port: 1 }', '2:7: gang: belongs to needs.hosts of 2 or more; remove it'],
    [
      'needs: { hosts: 2 }\ngang: { barriers: [load] }',
      '3:20: gang.barriers[0]: the suite has no step load to wait before',
    ],
    ['needs: { hosts: 2 }\ngang: { barriers: [teardown] }', '3:20: gang.barriers[0]: '],
    [
      'needs: { hosts: 2 }\ngang: { barriers: [run, run] }',
      '3:25: gang.barriers[1]: step run is named twice; remove it',
    ],
    ['needs: { hosts: 2 }\ngang: { port: 70000 }', '3:15: gang.port: '],
  ])('%s', (line, problem) => {
    expect(problemsOf(`run: [r]\n${line}`)).toEqual([expect.stringContaining(problem) as string]);
  });
});
