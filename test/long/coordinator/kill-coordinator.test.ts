/**
 * kill -9 of the coordinator, fifty times in each stage of runs of 10,000 tasks: while one is submitted, while
 * it is handed out, while it is stopped, while it is archived. A failing seed is repeated with
 * BENCHMESH_TEST_SEED; BENCHMESH_TEST_ROUNDS makes it shorter.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KillMesh, type Lengths } from '#test/support/kill-round.ts';
import { seededRandom, seedOf } from '#test/support/seed.ts';

const TASKS = 10_000;
const ROUNDS = Number(process.env['BENCHMESH_TEST_ROUNDS'] ?? 50);
/** A run that passes takes long: in one of them it is killed so often. */
const KILLS_A_PASS = 10;
/** Of the length that a stage has when nobody is killed: it may be longer next time. */
const BEYOND = 1.1;

const seed = seedOf('kill-coordinator');
const random = seededRandom(seed);
const rounds = Array.from({ length: ROUNDS }, (_, at) => ({
  round: at + 1,
  ...{ submit: random(), stop: random(), archive: random() },
}));
const passes = Array.from({ length: Math.ceil(ROUNDS / KILLS_A_PASS) }, (_, at) => ({
  pass: at + 1,
  assignment: Array.from({ length: KILLS_A_PASS }, () => Math.ceil(random() * TASKS)).sort(
    (a, b) => a - b,
  ),
  archive: random(),
}));

describe(`kill -9 of the coordinator, seed ${seed}`, () => {
  let mesh: KillMesh;
  let lengths: { readonly passed: Omit<Lengths, 'stop'>; readonly stopped: Lengths };

  beforeAll(async () => {
    mesh = await KillMesh.start({ tasks: TASKS, agents: 20, slots: 8 });
    lengths = { passed: await mesh.pass({}), stopped: await mesh.stop({}) };
    process.stdout.write(`stages where nobody is killed, ms: ${JSON.stringify(lengths)}\n`);
  }, 600_000);
  afterAll(async () => {
    process.stdout.write(`kills: ${mesh.landed()}\n`);
    await mesh.close();
  });

  it.each(rounds)(
    'round $round: submit at $submit of it, stop at $stop, archive at $archive',
    async ({ submit, stop, archive }) => {
      const { stopped } = lengths;
      await mesh.stop({
        submit: submit * BEYOND * stopped.submit,
        stop: stop * BEYOND * stopped.stop,
        archive: archive * BEYOND * stopped.archive,
      });
    },
  );

  it.each(passes)(
    'pass $pass: assignment at the starts $assignment, archive at $archive of it',
    async ({ assignment, archive }) => {
      await mesh.pass({ assignment, archive: archive * BEYOND * lengths.passed.archive });
    },
  );

  it('leaves nothing of all these runs but their directories', async () => {
    expect(mesh.runs()).toBe(2 + rounds.length + passes.length);
    await mesh.expectNothingLeft();
  });
});
