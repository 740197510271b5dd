/** Golden payloads of what is said of a gang. */
export const GOLDEN_RUN = '2026-02-13_14-30-45-k3f9';
export const GOLDEN_TASK = 'k7mh2xq9abcd';
const startMs = 1_770_993_045_000;

export const goldenGang = {
  'attempt.ready': { elapsedMs: 10, barrier: 'run' },
  'task.barrier_opened': { n: 1, barrier: 'run', startMs },
  'task.stage_opened': { n: 1, stage: 2, ranks: 2, startMs, measureMs: 30_000 },
  'task.ramp_ended': {
    n: 1,
    stage: 2,
    why: 'gain' as const,
    reason: 'throughput was 104 req/s with 2 ranks, 4 % more than before: less than 5 %',
  },
  'attempt.stage_measured': {
    elapsedMs: 30_010,
    stage: 2,
    isWhole: true,
    metrics: [
      {
        name: 'throughput',
        value: 52,
        unit: 'req/s',
        direction: 'higher' as const,
        across: 'sum' as const,
      },
    ],
    requests: null,
  },
  'task.rank_lost': {
    n: 1,
    rank: 1,
    agent: 'a2',
    reason: 'lost: agent a2 was not heard any more',
    withinMs: 120_000,
  },
  'task.rank_replaced': {
    n: 1,
    rank: 1,
    epoch: 1,
    lost: 'a2',
    peer: { agent: 'a3', host: 'node3', address: '10.0.0.3' },
  },
  'command.peers': {
    run: GOLDEN_RUN,
    task: GOLDEN_TASK,
    n: 1,
    epoch: 1,
    peers: [
      { agent: 'a1', host: 'node1', address: '10.0.0.1' },
      { agent: 'a3', host: 'node3', address: '10.0.0.3' },
    ],
  },
  'command.go': {
    run: GOLDEN_RUN,
    task: GOLDEN_TASK,
    n: 1,
    barrier: 'run',
    startMs,
    withinMs: 250,
  },
};
