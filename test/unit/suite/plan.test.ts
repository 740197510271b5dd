import { describe, expect, it } from 'vitest';
import { planRun, type RunPlan } from '#protocol/suite/plan.ts';
import { blankGpu } from '#agent/discovery/gpu-facts.ts';
import { suiteOf } from './suite-of.ts';

const SUITE = 'run: [x]\naxes: { a: [1, 2, 3, 4, 5] }\nrepeats: 2\n';
const host = (hostId: string, slots: number, cpus = slots) => ({ hostId, slots, cpus });

describe('a plan', () => {
  it.each<[string, string, ReturnType<typeof host>[], Partial<RunPlan>]>([
    [
      'exclusive, one host',
      '',
      [host('h', 4)],
      {
        tasks: 10,
        cells: 5,
        repeats: 2,
        parallelism: 1,
        why: '1 at a time on 1 host: tasks are exclusive (the default), one per host; set needs.exclusive: false to let them share one',
        warnings: [
          '3 of 4 slots will idle by design: exclusive tasks are measured in peace; needs.exclusive: false uses them',
        ],
      },
    ],
    [
      'exclusive, two agents on one host and one on another',
      '',
      [host('h', 1), host('h', 1), host('i', 1)],
      {
        parallelism: 2,
        warnings: [
          '1 of 3 slots will idle by design: exclusive tasks are measured in peace; needs.exclusive: false uses them',
        ],
      },
    ],
    [
      'shared',
      'needs: { exclusive: false }',
      [host('h', 2), host('i', 4)],
      { parallelism: 6, why: '6 at a time on 2 hosts: each task takes 1 slot', warnings: [] },
    ],
    [
      'shared, with slots left over',
      'needs: { exclusive: false, slots: 3 }',
      [host('h', 4), host('i', 2)],
      {
        parallelism: 1,
        why: '1 at a time on 1 host: each task takes 3 slots',
        warnings: ['1 of 4 slots will idle: they do not hold another task (3 slots each)'],
      },
    ],
    [
      'shared, bound by CPUs',
      'needs: { exclusive: false, cpus: 2 }',
      [host('h', 4, 4)],
      {
        parallelism: 2,
        why: '2 at a time on 1 host: each task takes 1 slot and 2 CPUs',
        warnings: [
          '2 of 4 slots will idle: they do not hold another task (1 slot and 2 CPUs each)',
        ],
      },
    ],
    [
      'maxParallel',
      'needs: { exclusive: false }\nmaxParallel: 2',
      [host('h', 4)],
      {
        parallelism: 2,
        why: '2 at a time on 1 host: maxParallel is 2 (the hosts have room for 4)',
        warnings: ['2 of 4 slots will idle: maxParallel is 2'],
      },
    ],
    [
      'fewer tasks than places',
      'needs: { exclusive: false }',
      [host('h', 16)],
      {
        parallelism: 10,
        why: '10 at a time on 1 host: there are no more tasks (the hosts have room for 16)',
        warnings: ['6 of 16 slots will idle: there are only 10 tasks'],
      },
    ],
    [
      'one task',
      'needs: { exclusive: false }\nrepeats: 1\naxes: { a: [1] }',
      [host('h', 2)],
      { warnings: ['1 of 2 slots will idle: there is only 1 task'] },
    ],
    [
      'more slots than any agent has',
      'needs: { slots: 8 }',
      [host('h', 4), host('i', 2)],
      {
        parallelism: 0,
        why: 'nothing can run: 10 tasks need 8 slots; the nearest agent, h, has 4',
        warnings: [
          '10 tasks need 8 slots; the nearest agent, h, has 4: they wait until one joins that can run them',
        ],
      },
    ],
    [
      'slots on one agent and CPUs on another',
      'needs: { slots: 4, cpus: 4 }',
      [host('h', 4, 2), host('i', 2, 4)],
      { parallelism: 0, why: 'nothing can run: 10 tasks need 4 CPUs; the nearest agent, h, has 2' },
    ],
    [
      'no agent',
      '',
      [],
      {
        parallelism: 0,
        why: 'nothing can run: no agent is there',
        warnings: ['no agent is there: tasks wait until one joins'],
      },
    ],
  ])('%s', (_, more, hosts, plan) => {
    const suite = more.includes('axes:') ? 'run: [x]\n' : SUITE;
    expect(planRun(suiteOf(suite + more), hosts)).toMatchObject(plan);
  });

  const gpu = (state: 'ready' | 'failed' | 'partitioned', kind: 'gpu' | 'mig' = 'gpu') =>
    ({ ...blankGpu('nvidia', 'x'), state, kind }) as const;
  const withGpus = (...gpus: ReturnType<typeof gpu>[]) => ({ ...host('h', 8), hardware: { gpus } });
  it.each([
    [
      'as many as there are',
      1,
      [withGpus(gpu('ready'), gpu('failed'))],
      2,
      'each task takes 1 slot and 1 GPU',
    ],
    [
      'MIG instances, and not their GPU',
      1,
      [withGpus(gpu('partitioned'), gpu('ready', 'mig'))],
      1,
      'each task takes 1 slot and 1 GPU',
    ],
    [
      'never two kinds',
      2,
      [withGpus(gpu('ready'), gpu('ready', 'mig'))],
      0,
      'nothing can run: 10 tasks need 2 GPUs; the nearest agent, h, has 1 of one kind',
    ],
    [
      'none',
      1,
      [host('h', 8)],
      0,
      'nothing can run: 10 tasks need 1 GPU; the nearest agent, h, has none',
    ],
  ])('counts GPUs: %s', (...[, gpus, hosts, parallelism, why]) => {
    const plan = planRun(suiteOf(`${SUITE}needs: { gpus: ${gpus}, exclusive: false }`), hosts);
    expect(plan.parallelism).toBe(parallelism);
    expect(plan.why).toContain(why);
    expect(plan.warnings.some((warning) => warning.includes('they wait until one joins'))).toBe(
      parallelism === 0,
    );
  });
});

describe('tasks that are kept apart', () => {
  const PLACES = [host('h', 2), host('h', 2), host('h', 1)];
  const axes = 'run: [x]\naxes: { m: [x, y], i: [1, 2, 3] }\n';

  it.each<[string, string, ReturnType<typeof host>[], Partial<RunPlan>]>([
    [
      'one of each key on a host, whatever agents are there',
      'needs: { exclusive: false, apart: "{{m}}" }',
      PLACES,
      {
        parallelism: 2,
        why: '2 at a time on 1 host: needs.apart: no two with the same key share a host (otherwise there would be room for 5)',
      },
    ],
    [
      'a key that all share',
      'needs: { exclusive: false, apart: all }',
      [...PLACES, host('i', 4)],
      {
        parallelism: 2,
        warnings: ['7 of 9 slots will idle: needs.apart keeps the tasks on different hosts'],
      },
    ],
    [
      'a key that tasks of different needs share',
      'needs: { exclusive: false, slots: "{{i}}", apart: { key: all } }',
      [host('h', 8)],
      { parallelism: 1 },
    ],
    [
      'gangs',
      'needs: { exclusive: false, hosts: 2, apart: "{{m}}" }',
      [host('h', 4), host('i', 4), host('j', 4)],
      { parallelism: 2 },
    ],
    [
      'a key of its own for each',
      'needs: { exclusive: false, apart: "{{m}} {{i}}" }',
      PLACES,
      {
        parallelism: 5,
        why: '5 at a time on 1 host: tasks need different things (6 kinds), as many as fit beside each other',
      },
    ],
  ])('%s', (_, needs, hosts, plan) => {
    expect(planRun(suiteOf(axes + needs), hosts)).toMatchObject(plan);
  });

  it('a label of the run that its own tasks keep away from', () => {
    const suite = suiteOf(`${axes}needs: { exclusive: false, apart: { labels: { team: db } } }`);
    const hosts = [...PLACES, host('i', 1)];
    expect(planRun(suite, hosts, { team: 'web' })).toMatchObject({ parallelism: 6 });
    expect(planRun(suite, hosts, { team: 'db' })).toMatchObject({
      parallelism: 2,
      why: '2 at a time on 2 hosts: needs.apart: the run has a label that its own tasks keep away from (otherwise there would be room for 6)',
    });
  });

  it('a host that accepts only runs with a label', () => {
    const accepts = { labels: { team: { in: ['db'] } } };
    const suite = suiteOf(`${axes}needs: { exclusive: false }`);
    const places = [{ ...host('h', 4), accepts }];
    expect(planRun(suite, places).parallelism).toBe(0);
    expect(planRun(suite, places, { team: 'db' }).parallelism).toBe(4);
  });
});

describe('tasks that no agent could run', () => {
  const needing = (needs: string, items: number) =>
    suiteOf(
      `run: [x]\naxes: { i: [${Array.from({ length: items }, (_, at) => at + 10).join(', ')}] }\nneeds: ${needs}\n`,
    );

  it('are told once for each reason, however many kinds of needs have it', () => {
    const needs = '{ exclusive: false, slots: "{{i}}", labels: { zone: { in: [mars, venus] } } }';
    const why = '4 tasks need label zone mars or venus, and no agent has that';
    expect(planRun(needing(needs, 4), [host('h', 4)])).toMatchObject({
      why: `nothing can run: ${why}`,
      warnings: [`${why}: they wait until one joins that can run them`],
      unplaceable: [{ tasks: 4, reason: { kind: 'label' } }],
    });
  });

  it('are told in few lines for many reasons', () => {
    const plan = planRun(needing('{ slots: "{{i}}" }', 20), [host('h', 4)]);
    expect(plan.why).toBe(
      'nothing can run: 1 task needs 10 slots; the nearest agent, h, has 4; 19 more wait for other reasons',
    );
    expect(plan.unplaceable).toHaveLength(20);
    expect(plan.warnings).toHaveLength(5);
    expect(plan.warnings.at(-1)).toBe(
      '16 more tasks wait for an agent that can run them, for 16 other reasons',
    );
  });
});
