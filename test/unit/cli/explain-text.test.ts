/** Each reason that the scheduler can give has its words. */
import { describe, expect, it } from 'vitest';
import {
  agentExplanationLines,
  agentReasonText,
  runExplanationLines,
  taskExplanationLines,
  taskReasonText,
} from '#cli/output/explain-text.ts';
import { AgentReason, TaskReason, type RunExplanation } from '#protocol/messages/run/explain.ts';

const RUN = '2026-02-13_14-30-45-aaaa';

const TASK_REASONS: [TaskReason, string][] = [
  [{ kind: 'ended', outcome: 'failed', reason: 'exit status 1' }, 'failed, exit status 1'],
  [{ kind: 'ended', outcome: 'passed', reason: null }, 'it has ended: passed'],
  [{ kind: 'running', agent: 'a', n: 2 }, 'runs on a, attempt 2'],
  [{ kind: 'handed_out', agent: 'a', n: 1, waiting: null }, 'waits there for its turn'],
  [
    { kind: 'handed_out', agent: 'a', n: 1, waiting: 'GPU 0 is fenced: python' },
    'waits there for this: GPU 0 is fenced: python',
  ],
  [
    {
      kind: 'running',
      agent: 'a',
      n: 1,
      agents: ['a', 'b', 'c'],
      waiting: 'rank 1 of 3, to begin run',
    },
    'it runs on a, b and c, attempt 1, and waits there for this: rank 1 of 3, to begin run',
  ],
  [
    { kind: 'replacing_rank', n: 1, rank: 2, lost: 'c', leftMs: 90_000, agents: ['a', 'b'] },
    'attempt 1 goes on with a and b, and waits for another host for its rank 2: c is lost; without one in ',
  ],
  [{ kind: 'few_hosts', needs: 3, could: 1 }, 'needs 3 hosts at once, and only 1 that has joined'],
  [
    { kind: 'waiting', gang: { hosts: 3, could: 4, ready: 1, kept: null } },
    'it waits for 3 hosts at once: 1 of 4 that could run it has room now',
  ],
  [
    {
      kind: 'waiting',
      gang: { hosts: 3, could: 4, ready: 2, kept: { run: RUN, task: 't1', own: true } },
    },
    '2 of 4 that could run it have room now; hosts are kept for it',
  ],
  [
    {
      kind: 'waiting',
      gang: { hosts: 3, could: 4, ready: 2, kept: { run: RUN, task: 't1', own: false } },
    },
    `hosts are kept for ${RUN}/t1, which is served first`,
  ],
  [{ kind: 'unknown', agent: 'a', n: 1 }, 'a, which is not heard'],
  [{ kind: 'deciding', n: 1 }, 'attempt 1 has ended'],
  [{ kind: 'stopping' }, 'never begins again'],
  [{ kind: 'paused', by: 'ann@box' }, 'paused by ann@box'],
  [{ kind: 'backing_off', n: 3, leftMs: 14_000 }, 'attempt 2 failed: retry 2 in 14.0 s'],
  [{ kind: 'max_parallel', limit: 3 }, 'has 3 tasks under way'],
  [{ kind: 'ordering', basis: RUN }, `results of run ${RUN} are being read`],
  [{ kind: 'no_agent' }, 'no agent has joined'],
  [
    { kind: 'unplaceable', agent: 'a', nearest: { kind: 'never', of: 'slots', needs: 2, has: 1 } },
    'no agent that has joined could ever run it; the nearest is a',
  ],
  [{ kind: 'waiting' }, 'waits for a host'],
];

const AGENT_REASONS: [AgentReason, string][] = [
  [{ kind: 'unreachable' }, 'not heard'],
  [{ kind: 'draining' }, 'takes nothing new'],
  [{ kind: 'draining', ended: true }, 'it has ended: it takes nothing until it is started again'],
  [{ kind: 'cordoned', by: 'ann@box', reason: 'loud fan' }, 'it is cordoned by ann@box: loud fan'],
  [{ kind: 'not_heard' }, 'since the coordinator began'],
  [{ kind: 'never', of: 'gpus', needs: 2, has: 1 }, '2 GPUs needed, it has 1 of one kind'],
  [{ kind: 'never', of: 'slots', needs: 2, has: 1 }, '2 slots needed, it has 1'],
  [{ kind: 'behind', run: RUN, priority: 5 }, `run ${RUN} (priority 5) is served first`],
  [
    { kind: 'behind', run: RUN, priority: 0, inHand: { it: 1, own: 8 } },
    'served first: it has 1 slot in hand, this one 8',
  ],
  [{ kind: 'alone' }, 'needed alone'],
  [{ kind: 'taken' }, 'the host to itself'],
  [{ kind: 'full', of: 'cpus', needs: 1, held: 4, has: 4 }, '1 CPU needed, 4 of 4 handed out'],
  [
    { kind: 'fenced', needs: 1, usable: 0, fences: ['GPU 0: python', 'GPU 1: python'] },
    'fenced: GPU 0: python; GPU 1: python',
  ],
  [{ kind: 'listed_before', count: 1 }, '1 task of its run is listed before it'],
  [
    { kind: 'listed_before', count: 2, order: { by: 'failed-first', basis: RUN, gone: false } },
    `2 tasks of its run are served before it (failed-first, by run ${RUN})`,
  ],
  [
    { kind: 'listed_before', count: 2, order: { by: 'longest-first', basis: RUN, gone: true } },
    `listed before it (not longest-first: run ${RUN}, which that goes by, is gone)`,
  ],
  [
    { kind: 'listed_before', count: 2, order: { by: 'longest-first', basis: null, gone: false } },
    'listed before it (longest-first, and this is the first run of the suite)',
  ],
  [
    { kind: 'listed_before', count: 2, order: { by: 'random', basis: null, gone: false } },
    'served before it (random order)',
  ],
  [
    { kind: 'never', of: 'gpus', needs: 8, has: 4, wish: ' *H100*' },
    '8 GPUs *H100* needed, it has 4',
  ],
  [
    { kind: 'never', of: 'memory', needs: 2048, has: 512 },
    '2 GiB of memory needed, it has 512 MiB',
  ],
  [
    { kind: 'label', label: 'zone', wanted: 'zone eu', has: null },
    'label zone eu needed, it has none',
  ],
  [{ kind: 'other_host', wanted: ['gpu-*'] }, 'the task is for gpu-*'],
  [{ kind: 'not_accepted', accepts: 'priority >=10' }, 'it accepts only priority >=10'],
  [
    { kind: 'full', of: 'memory', needs: 1024, held: 512, has: 1024 },
    '1 GiB of memory needed, 512 MiB of 1 GiB handed out',
  ],
  [
    { kind: 'lock', lock: 'db', needs: 5, held: 22, has: 25, by: RUN },
    `lock db: 5 needed, 22 of 25 held (as many as run ${RUN} says there are)`,
  ],
  [{ kind: 'lock_kept', lock: 'db', run: RUN }, `is kept for run ${RUN}`],
  [{ kind: 'apart', from: 'label team=db' }, 'must not share a host with it: label team=db'],
  [{ kind: 'reserved', run: RUN, task: 't1' }, `it is kept for ${RUN}/t1, which takes several`],
  [{ kind: 'has_rank' }, 'its host has, or had, a rank of this attempt'],
  [{ kind: 'has_room' }, 'it has room, and more hosts are waited for'],
  [{ kind: 'next' }, 'handed out next'],
];

const kindsOf = (union: typeof TaskReason | typeof AgentReason): string[] =>
  union.options.map(({ shape }) => shape.kind.value).sort();

describe('reasons', () => {
  it.each(TASK_REASONS)('of a task: %j', (reason, text) => {
    expect(taskReasonText(TaskReason.parse(reason))).toContain(text);
  });

  it.each(AGENT_REASONS)('of an agent: %j', (reason, text) => {
    expect(agentReasonText(AgentReason.parse(reason))).toContain(text);
  });

  it('are all here', () => {
    const here = (rows: readonly [{ kind: string }, string][]): string[] =>
      [...new Set(rows.map(([{ kind }]) => kind))].sort();
    expect(here(TASK_REASONS)).toEqual(kindsOf(TaskReason));
    expect(here(AGENT_REASONS)).toEqual(kindsOf(AgentReason));
  });
});

describe('lines', () => {
  const agents = ['a', 'b', 'c', 'd', 'e'].map((agent) => ({
    agent,
    reason: { kind: agent === 'b' ? 'draining' : 'unreachable' } as const,
  }));

  it('say a reason once, whoever has it, and fit the terminal', () => {
    const of = { run: RUN, task: 'd2xq', reason: { kind: 'waiting' }, agents } as const;
    expect(taskExplanationLines(of, null)).toEqual([
      `task ${RUN}/d2xq: it waits for a host`,
      '  a, c, d and 1 more: it is not heard',
      '  b: it drains: it takes nothing new',
    ]);
    const narrow = taskExplanationLines(of, 50);
    for (const line of narrow) expect(line.length).toBeLessThanOrEqual(50);
  });

  it('say the whole of a reason on a narrow terminal, below each other', () => {
    const by = RUN;
    const reason = { kind: 'lock', lock: 'db', needs: 3, held: 3, has: 5, by } as const;
    const of = { run: RUN, task: 'd2xq', reason: { kind: 'waiting' } as const };
    const told = { ...of, agents: [{ agent: 'a', reason }] };
    const lines = taskExplanationLines(told, 60);
    expect(lines).toEqual([
      `task ${RUN}/d2xq: it waits for a host`,
      '  a: lock db: 3 needed, 3 of 5 held (as many as run',
      `    ${RUN} says there are)`,
    ]);
  });

  it('of an agent name the runs that wait, or say that none does', () => {
    const of = { agent: 'a', slots: 2, handedOut: 1, runs: [], heldBack: [], closed: null };
    expect(agentExplanationLines(of, null)).toEqual([
      'agent a: 1 attempt handed to its 2 slots',
      '  no task waits for a host',
    ]);
    const tasks = [`${RUN}/a`, `${RUN}/b`];
    const others = { passing: ['x'], failing: ['y', 'z'] };
    for (const [cordonAfter, text] of [
      [0, ''],
      [5, ': 5 different ones cordon it'],
      [2, '; it is not cordoned: of others y, z failed them too, x passed some'],
    ] as const)
      expect(
        agentExplanationLines({ ...of, failing: { tasks, cordonAfter, others } }, null),
      ).toEqual([
        'agent a: 1 attempt handed to its 2 slots',
        `  2 tasks in a row failed there, the last ${RUN}/b${text}`,
        '  no task waits for a host',
      ]);
    const runs = [{ run: RUN, priority: 0, waiting: 3, reason: { kind: 'taken' } as const }];
    const heldBack = [{ run: RUN, limit: 2, waiting: 1 }];
    expect(
      agentExplanationLines({ ...of, runs, heldBack, closed: { kind: 'draining' } }, null),
    ).toEqual([
      'agent a: 1 attempt handed to its 2 slots; it drains: it takes nothing new',
      `  run ${RUN}, 3 tasks waiting: something there has the host to itself`,
      `  run ${RUN}, 1 task waiting: its maxParallel allows 2 at once`,
    ]);
  });
});

describe('a run', () => {
  const HELD: [RunExplanation['heldBack'][number], string][] = [
    [
      { tasks: 14, reason: { kind: 'paused', by: 'ann@box' } },
      'the run is paused by ann@box: benchmesh resume lets it go on (14 tasks)',
    ],
    [{ tasks: 0, reason: { kind: 'stopping' } }, 'the run is being stopped'],
    [
      { tasks: 2, example: 't1', reason: { kind: 'paused', by: 'ann@box' } },
      '2 tasks such as t1: it is paused by ann@box: benchmesh resume lets it go on',
    ],
    [
      { tasks: 2, example: 't1', reason: { kind: 'backing_off', n: 2, leftMs: 14_000 } },
      '2 tasks such as t1: an attempt failed, the first retry is in 14.0 s',
    ],
    [
      { tasks: 1, example: 't1', reason: { kind: 'backing_off', n: 2, leftMs: 14_000 } },
      '1 task such as t1: attempt 1 failed: retry 1 in 14.0 s',
    ],
    [
      {
        ...{ tasks: 9, example: 't1', reason: { kind: 'unknown', agent: 'a', n: 1 } },
        agents: ['a', 'b', 'c', 'd'],
      },
      '9 tasks such as t1: with a, b, c and 1 more, not heard: what became of them is not known',
    ],
    [
      {
        ...{ tasks: 2, example: 't1' },
        reason: {
          ...{ kind: 'replacing_rank', n: 1, rank: 1, lost: 'a', leftMs: 14_000, agents: ['b'] },
        },
      },
      '2 tasks such as t1: they go on, and wait for another host for a rank; the first ends without one in 14.0 s',
    ],
    [{ tasks: 2, example: 't1', reason: { kind: 'deciding', n: 1 } }, '2 tasks such as t1'],
  ];
  it.each(HELD)('%j', (held, text) => {
    const run = { run: RUN, tasks: 20, ended: 1, handedOut: 0, groups: [], more: 0, other: 0 };
    const lines = runExplanationLines({ ...run, heldBack: [held] }, null);
    expect(lines[1]).toContain(text);
    expect(lines).toHaveLength(2);
  });
});
