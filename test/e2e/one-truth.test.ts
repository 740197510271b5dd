/** I2, I3: two readers, one with its clock an hour off, sample a run until it ends. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '#protocol/fold/run-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

const SUITE = `name: truth
axes:
  step: [1, 2, 3]
phases: [prepare, warmup, measure]
repeats: 2
run:
  shell: |
    for phase in prepare warmup measure; do
      echo "phase $phase" >> "$BENCHMESH_REPORT"
      echo "progress 0.$RANDOM" >> "$BENCHMESH_REPORT"
      sleep 0.2
    done
`;

interface Sample {
  sequence: number;
  run: RunView;
}

const PHASES = ['prepare', 'warmup', 'measure'];
const STATES = ['submitted', 'running', 'stopping', 'ended'];

function expectForward(samples: readonly Sample[]): void {
  for (const [index, sample] of samples.entries()) {
    const before = samples[index - 1];
    if (before === undefined) continue;
    expect(sample.sequence).toBeGreaterThanOrEqual(before.sequence);
    expect(STATES.indexOf(sample.run.state)).toBeGreaterThanOrEqual(
      STATES.indexOf(before.run.state),
    );
    expect(sample.run.elapsedMs).toBeGreaterThanOrEqual(before.run.elapsedMs);
    expect(sample.run.states.ended).toBeGreaterThanOrEqual(before.run.states.ended);
    for (const task of sample.run.current) {
      const earlier = before.run.current.find((one) => one.id === task.id && one.n === task.n);
      if (earlier === undefined) continue;
      expect(PHASES.indexOf(task.phase ?? '')).toBeGreaterThanOrEqual(
        PHASES.indexOf(earlier.phase ?? ''),
      );
      expect(task.progress ?? 0).toBeGreaterThanOrEqual(earlier.progress ?? 0);
      expect(task.elapsedMs).toBeGreaterThanOrEqual(earlier.elapsedMs);
    }
  }
}

describe('one truth', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up();
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  /** Calls \`show --json\` again and again until the run has ended. */
  async function sample(run: string, env: Record<string, string>): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (;;) {
      const result = await mesh.cli(['show', run, '--json'], { env });
      expect(result.status, result.stderr).toBe(0);
      const one = JSON.parse(result.stdout) as Sample;
      samples.push(one);
      if (one.run.state === 'ended') return samples;
    }
  }

  it.each([
    ['runs to its end', false],
    ['is stopped', true],
  ])('while a run %s', async (_what, stopped) => {
    const run = await mesh.submit(await mesh.file('truth.yaml', SUITE));
    const hourOff = {
      BENCHMESH_TEST_CLOCK_OFFSET_MS: '3600000',
      NODE_OPTIONS: `--import=${await clockShift(mesh)}`,
    };
    const readers = Promise.all([sample(run, {}), sample(run, hourOff)]);
    if (stopped) {
      await until(
        async () => (await mesh.json<Sample>('show', run)).run.states.ended >= 1,
        'a task to end',
      );
      await mesh.cli(['stop', run]);
    }
    const [one, other] = await readers;
    expectForward(one);
    expectForward(other);
    const bySequence = new Map(one.map((entry) => [entry.sequence, JSON.stringify(entry)]));
    const both = other.filter((entry) => bySequence.has(entry.sequence));
    expect(both.length).toBeGreaterThan(0);
    for (const entry of both) expect(JSON.stringify(entry)).toBe(bySequence.get(entry.sequence));
  });
});

/** A module that moves the process's wall clock by an hour. */
async function clockShift(mesh: TestMesh): Promise<string> {
  return mesh.file(
    'shift.mjs',
    `const off = Number(process.env.BENCHMESH_TEST_CLOCK_OFFSET_MS);
const Real = Date;
globalThis.Date = class extends Real {
  constructor(...args) { if (args.length === 0) super(Real.now() + off); else super(...args); }
  static now() { return Real.now() + off; }
};
`,
  );
}
