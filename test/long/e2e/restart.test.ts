/**
 * I8: kill -9 of agent, coordinator and nats-server, each at five random moments of a run: while it
 * is submitted, while its attempts start, run and exit, while it is archived. A failing seed is
 * repeated with BENCHMESH_TEST_SEED.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';
import { isRunning } from '#test/support/processes.ts';
import { CODES, RestartRound } from '#test/support/restart-round.ts';
import { seededRandom, seedOf } from '#test/support/seed.ts';
import { until } from '#test/support/until.ts';

/** When the part is killed: so long after the start of that moment, at most. */
const MOMENTS = {
  'it is submitted': 500,
  'its attempts start': 100,
  'its attempts run': 500,
  'its attempts exit': 150,
  'it is archived': 250,
} as const;
type Moment = keyof typeof MOMENTS;

const seed = seedOf('restart');
const random = seededRandom(seed);
const rounds = (['agent', 'coordinator', 'server'] as const).flatMap((part) =>
  (Object.keys(MOMENTS) as Moment[]).map(
    (moment) => [part, moment, Math.floor(random() * MOMENTS[moment])] as const,
  ),
);

const later = async (ms: number): Promise<void> => {
  const from = performance.now();
  await until(() => performance.now() - from >= ms, 'the random moment');
};

describe(`kill -9 at random moments, seed ${seed}`, () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up('--slots', '3');
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it.each(rounds)('%s, while %s, after %i ms', async (part, moment, ms) => {
    const round = await RestartRound.create(mesh, `${part}-${moment.replaceAll(' ', '-')}`);
    const kill = async (): Promise<void> => {
      await later(ms);
      await mesh.kill9(part);
    };
    const submitted = round.submit();
    if (moment === 'it is submitted') {
      await kill();
      await mesh.up();
    }
    const run = await submitted;
    if (moment === 'its attempts start') {
      await until(async () => (await round.starts()).length > 0, 'the first child');
      await kill();
      await mesh.up();
    }
    const children = await round.children();
    if (moment === 'its attempts run') {
      await kill();
      await round.open('3');
      await round.ended('3');
      expect([...children.values()].filter(isRunning), 'the others go on').toHaveLength(2);
      await mesh.up();
    }
    await round.open(...CODES);
    if (moment === 'it is archived') for (const code of CODES) await round.ended(code);
    if (moment === 'its attempts exit' || moment === 'it is archived') {
      await kill();
      await mesh.up();
    }
    await round.expectRightEnds(run);
    expect(new Map(await round.starts()), 'the same pids to the end').toEqual(children);
  });
});
