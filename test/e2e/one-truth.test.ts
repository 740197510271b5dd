/**
 * I2, I3: two processes, one with its clock an hour off, sample a run every 20 ms until it has
 * ended, by the code of `show --json`. Nothing either of them sees ever goes back, and at equal
 * sequence both see the same bytes, which are what the CLI prints.
 */
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import { STEPS } from '#protocol/messages/attempt/attempt-spec.ts';
import { TestMesh } from '#test/support/mesh.ts';
import type { SampleLine } from '#test/support/show-sampler.ts';
import { until } from '#test/support/until.ts';

/** Progress falls on purpose now and then: a benchmark may say so, nobody may be shown it. */
const SUITE = `name: truth
axes:
  step: [1, 2, 3]
phases: [prepare, warmup, measure]
repeats: 3
run:
  shell: |
    tenth=0
    for phase in prepare warmup measure; do
      echo "phase $phase" >> "$BENCHMESH_REPORT"
      tenth=$((tenth + 1))
      for digit in 2 6 4 9; do
        echo "progress 0.$tenth$digit" >> "$BENCHMESH_REPORT"
        sleep 0.06
      done
    done
    until [ -e "$BENCHMESH_SUITE_DIR/enough" ]; do sleep 0.05; done
`;

const PHASES = [null, 'prepare', 'warmup', 'measure'];
const RUN_STATES = ['submitted', 'running', 'stopping', 'ended'];
const TASK_STATES = ['pending', 'assigned', 'running', 'ended'];
const ATTEMPT_STATES = ['accepted', ...STEPS, 'exited'];
const HOUR_MS = 3_600_000;
/** The run goes on until there are more: a busy machine samples as well as an idle one, but slower. */
const LEAST_SAMPLES = 50;

interface Sample {
  readonly sequence: number;
  readonly run: RunView;
  readonly tasks: readonly { task: TaskView; attempts: readonly AttemptView[] }[];
}

const parsed = (line: SampleLine): Sample => ({
  ...(JSON.parse(line.run) as Pick<Sample, 'sequence' | 'run'>),
  tasks: line.tasks.map((task) => JSON.parse(task) as Sample['tasks'][number]),
});

/** What may only grow, by name, so that a failure says what went back. */
function growing({ sequence, run, tasks }: Sample): Record<string, number> {
  const values: Record<string, number> = {
    sequence,
    'run state': RUN_STATES.indexOf(run.state),
    'run elapsed': run.elapsedMs,
    'run started': run.started === null ? 0 : 1,
    'tasks ended': run.states.ended,
    'tasks no longer pending': run.tasks - run.states.pending,
  };
  for (const [outcome, count] of Object.entries(run.outcomes)) values[`tasks ${outcome}`] = count;
  for (const one of run.current) {
    const attempt = `current ${one.id}#${one.n}`;
    values[`${attempt} state`] = ATTEMPT_STATES.indexOf(one.state);
    values[`${attempt} phase`] = PHASES.indexOf(one.phase);
    values[`${attempt} progress`] = one.progress ?? 0;
    values[`${attempt} elapsed`] = one.elapsedMs;
  }
  for (const { task, attempts } of tasks) {
    values[`${task.id} state`] = TASK_STATES.indexOf(task.state);
    values[`${task.id} elapsed`] = task.elapsedMs;
    values[`${task.id} phase`] = PHASES.indexOf(task.phase);
    values[`${task.id} n`] = task.n;
    for (const one of attempts) {
      const attempt = `${task.id}#${one.n}`;
      values[`${attempt} state`] = ATTEMPT_STATES.indexOf(one.state);
      values[`${attempt} phase`] = PHASES.indexOf(one.phase);
      values[`${attempt} progress`] = one.progress ?? 0;
      values[`${attempt} elapsed`] = one.elapsedMs;
      values[`${attempt} exited`] = one.exited === null ? 0 : 1;
    }
  }
  return values;
}

function expectForward(samples: readonly Sample[]): void {
  const best: Record<string, number> = {};
  const wentBack: string[] = [];
  for (const [index, sample] of samples.entries()) {
    for (const [name, value] of Object.entries(growing(sample))) {
      if (value < (best[name] ?? value))
        wentBack.push(`sample ${index}: ${name} from ${best[name] ?? ''} to ${value}`);
      best[name] = value;
    }
  }
  expect(wentBack).toEqual([]);
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

  /** Once the run has been archived: how `show --json` printed it, a few times meanwhile and then. */
  async function shownByCli(run: string): Promise<string[]> {
    const shown: string[] = [];
    for (const call of [1, 2, 3, 'last']) {
      if (call === 'last') await mesh.archived(run);
      shown.push((await mesh.ok('show', run, '--json')).trim());
    }
    return shown;
  }

  it.each([
    ['runs to its end', false],
    ['is stopped', true],
  ])('while a run %s', { timeout: 180_000 }, async (_what, stopped) => {
    const hourOff = {
      BENCHMESH_TEST_CLOCK_OFFSET_MS: String(HOUR_MS),
      NODE_OPTIONS: `--import=${await clockShift(mesh)}`,
    };
    const samplers = [startSampler(mesh, {}), startSampler(mesh, hourOff)] as const;
    await until(() => samplers.every((sampler) => sampler.isReady()), 'both to be ready');
    await rm(join(mesh.home, 'enough'), { force: true });
    const suite = await mesh.file('truth.yaml', SUITE);
    const run = await mesh.submit(suite, ...(stopped ? ['--set', 'repeats=30'] : []));
    const [firstSampler, secondSampler] = samplers;
    const all = Promise.all([firstSampler.sample(run), secondSampler.sample(run), shownByCli(run)]);
    const isEnough = (): boolean => samplers.every((one) => one.count() > LEAST_SAMPLES);
    if (stopped) {
      await mesh.file('enough', '');
      await until(
        async () => isEnough() && (await mesh.json<Sample>('show', run)).run.states.ended >= 4,
        'four tasks to end',
        120_000,
      );
      await mesh.ok('stop', run);
    } else {
      await until(isEnough, 'samples', 120_000);
      await mesh.file('enough', '');
    }
    const [one, other, shown] = await all;

    for (const lines of [one, other]) {
      expect(lines.length, 'samples').toBeGreaterThan(LEAST_SAMPLES);
      expect(new Set(lines.map((line) => line.run)).size, 'different ones').toBeGreaterThan(10);
      expectForward(lines.map(parsed));
    }
    expect((other[0]?.wallMs ?? 0) - (one[0]?.wallMs ?? 0)).toBeGreaterThan(HOUR_MS / 2);

    const first = new Map(one.map((line) => [parsed(line).sequence, [line.run, ...line.tasks]]));
    const both = other.filter((line) => first.has(parsed(line).sequence));
    expect(new Set(both.map((line) => line.run)).size, 'common sequences').toBeGreaterThan(5);
    for (const line of both)
      expect([line.run, ...line.tasks]).toEqual(first.get(parsed(line).sequence));

    // The samples are what people see: the CLI's own lines are among them, live and at the end.
    const common = shown.filter((line) => first.has((JSON.parse(line) as Sample).sequence));
    expect(common.length).toBeGreaterThan(1);
    for (const line of common)
      expect(line).toBe(first.get((JSON.parse(line) as Sample).sequence)?.[0]);
    expect(shown.at(-1)).toBe(one.at(-1)?.run);
    report(stopped ? 'stopped' : 'to its end', [one, other]);
  });
});

interface Sampler {
  isReady(): boolean;
  /** Samples so far. */
  count(): number;
  /** Every sample until the run has ended. */
  sample(run: string): Promise<SampleLine[]>;
}

/** A process of test/support/show-sampler.ts. */
function startSampler(mesh: TestMesh, env: Record<string, string>): Sampler {
  const program = fileURLToPath(new URL('../support/show-sampler.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program], {
    env: { ...process.env, BENCHMESH_HOME: mesh.home, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const out: Buffer[] = [];
  let lines = -1; // the first says ready
  child.stdout.on('data', (bytes: Buffer) => {
    out.push(bytes);
    for (const byte of bytes) if (byte === 0x0a) lines += 1;
  });
  const status = new Promise((resolve) => child.on('close', resolve));
  return {
    isReady: () => out.length > 0,
    count: () => lines,
    sample: async (run) => {
      child.stdin.end(`${run}\n`);
      expect(await status).toBe(0);
      const lines = Buffer.concat(out).toString('utf8').trim().split('\n').slice(1);
      return lines.map((line) => JSON.parse(line) as SampleLine);
    },
  };
}

/** The figures of the sampling: asserted by nobody, read by people. */
function report(what: string, readers: readonly (readonly SampleLine[])[]): void {
  const figures = readers.map((lines) => {
    const gaps = lines.slice(1).map((line, at) => line.atMs - (lines[at]?.atMs ?? 0));
    gaps.sort((a, b) => a - b);
    const median = gaps[Math.floor(gaps.length / 2)] ?? 0;
    return `${lines.length} samples, ${median.toFixed(1)} ms apart (median)`;
  });
  process.stdout.write(`${what}: ${figures.join('; ')}\n`);
}

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
