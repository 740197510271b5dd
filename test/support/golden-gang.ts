/** Golden payloads of what is said of a gang. */
export const GOLDEN_RUN = '2026-02-13_14-30-45-k3f9';
export const GOLDEN_TASK = 'k7mh2xq9abcd';
const startMs = 1_770_993_045_000;

export const goldenGang = {
  'attempt.ready': { elapsedMs: 10, barrier: 'run' },
  'task.barrier_opened': { n: 1, barrier: 'run', startMs },
  'command.go': {
    run: GOLDEN_RUN,
    task: GOLDEN_TASK,
    n: 1,
    barrier: 'run',
    startMs,
    withinMs: 250,
  },
};
