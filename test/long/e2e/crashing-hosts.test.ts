/**
 * Eight real agents that are killed at random for two minutes, alone or with all that runs on their hosts, and
 * come back soon or after they were given up, while a few hundred short tasks run: each ends exactly once,
 * with the retries that its failures call for. A failing seed is repeated with BENCHMESH_TEST_SEED;
 * BENCHMESH_TEST_SECONDS makes it shorter.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FleetMesh } from '#test/bench/fleet/fleet-mesh.ts';
import { parseFleetOptions } from '#test/bench/fleet/options.ts';
import { CrashingHost, storiesOf } from '#test/support/crashing-hosts.ts';
import { watchEvents, type EventWatch } from '#test/support/event-watch.ts';
import { processesWithEnvironment } from '#test/support/processes.ts';
import { seededRandom, seedOf } from '#test/support/seed.ts';
import { until } from '#test/support/until.ts';

const SECONDS = Number(process.env['BENCHMESH_TEST_SECONDS'] ?? 120);
const HOSTS = 8;
const SLOTS = 2;
/** Of each kind and length. */
const ITEMS = 15;
const EXIT_RETRIES = 2;
/** Between two crashes, and how long a host is away: some longer than its lease and what follows that. */
const PAUSE_MS = 2_500;
const AWAY_MS = 25_000;
const LONGEST_MS = 600_000;

const seed = seedOf('crashing-hosts');
const random = seededRandom(seed);

let mesh: FleetMesh;
let hosts: CrashingHost[];
let events: EventWatch;

beforeAll(async () => {
  // A host is not to be cordoned for the tasks that always fail.
  const flags = ['--cordon-after', '0'];
  mesh = await FleetMesh.start(parseFleetOptions('--agents 1 --processes 1'.split(' ')), flags);
  const { folder, server } = mesh;
  events = watchEvents(mesh.connection);
  hosts = Array.from({ length: HOSTS }, (_, at) => {
    const { url, credentialFile } = server;
    return new CrashingHost({ id: `real-${at}`, folder, url, credentialFile, slots: SLOTS });
  });
  for (const host of hosts) host.start();
});
afterAll(async () => {
  await Promise.all(hosts.map((host) => host.close()));
  await events.close();
  await mesh.close();
});

/** Says that it begins, runs, and fails: never, once, or always. */
function suiteOf(body: string, begun: string): string {
  const items = Array.from({ length: ITEMS }, (_, at) => at).join(', ');
  return [
    'name: crashing',
    `axes:\n  item: [${items}]\n  seconds: [1, 2, 3, 4]`,
    '  kind: [good, fine, once, bad]',
    'needs: { exclusive: false, labels: { real: "yes" } }',
    `retries: { exit: ${EXIT_RETRIES}, lost: 100 }`,
    'onLost: { requeueAfter: 2s }',
    `run: [sh, ${body}, ${begun}, '{{kind}}', '{{seconds}}']`,
    '',
  ].join('\n');
}

const BODY = `echo "$BENCHMESH_TASK $BENCHMESH_ATTEMPT" >> "$1/begun"
sleep "$3"
[ "$2" = bad ] && exit 3
[ "$2" = once ] && mkdir "$1/$BENCHMESH_TASK" 2>/dev/null && exit 3
exit 0
`;

/** Crashes and comebacks until the time is over; then all are up. Resolves with how often what crashed. */
async function crashAbout(): Promise<Record<'agent' | 'host', number>> {
  const crashes = { agent: 0, host: 0 };
  const away = new Set<Promise<void>>();
  const endMs = performance.now() + SECONDS * 1_000;
  while (performance.now() < endMs) {
    await sleep(random() * 2 * PAUSE_MS);
    const up = hosts.filter((host) => host.isUp());
    const host = up[Math.floor(random() * up.length)];
    const what = random() < 0.5 ? 'agent' : 'host';
    const awayMs = random() ** 2 * AWAY_MS;
    if (host === undefined || up.length <= HOSTS / 2) continue;
    crashes[what] += 1;
    await host.crash(what);
    const back = sleep(awayMs).then(() => {
      host.start();
      away.delete(back);
    });
    away.add(back);
  }
  await Promise.all(away);
  return crashes;
}

it(`each task ends once, with the right retries, seed ${seed}`, async () => {
  const begunIn = join(mesh.folder, 'begun-of-tasks');
  const body = join(mesh.folder, 'body.sh');
  await mkdir(begunIn);
  await writeFile(body, BODY);
  const run = await mesh.submit(suiteOf(body, begunIn));
  const crashes = await crashAbout();
  const rows = await until(
    () => mesh.archivedLines(run, 'tasks.ndjson'),
    'the directory of the run',
    LONGEST_MS,
  );
  const tasks = rows.map(
    (line) =>
      JSON.parse(line) as { id: string; outcome: string; axes: Readonly<Record<string, unknown>> },
  );
  const stories = storiesOf(events.recordsOf(run));
  expect(tasks.length).toBe(ITEMS * 4 * 4);
  expect(new Set(tasks.map(({ id }) => id))).toEqual(new Set(stories.keys()));
  const retries: Record<string, number> = {};
  for (const { id, outcome, axes } of tasks) {
    const story = stories.get(id);
    if (story === undefined) throw new Error(`nothing is stored of ${id}`);
    const kind = String(axes['kind']);
    // `drained`: it was queued on an agent and given back, to be run where there was room.
    const { exit = 0, lost = 0, drained = 0, ...other } = story.retries;
    expect({ id, other }, 'no other class than these').toEqual({ id, other: {} });
    const end = kind === 'bad' ? { outcome: 'failed', class: 'exit' } : { outcome: 'passed' };
    expect({ id, kind, outcome, ...story.end }).toMatchObject({ id, kind, ...end });
    if (kind === 'bad') expect({ id, exit }).toEqual({ id, exit: EXIT_RETRIES });
    // The one failure may be that of an attempt which was given up.
    else expect(exit, id).toBeLessThanOrEqual(kind === 'once' ? 1 : 0);
    expect(story.current, id).toBe(1 + exit + lost + drained);
    for (let n = 1; n <= story.current; n += 1)
      if (!story.superseded.has(n)) expect(story.exited.has(n), `the end of ${id}#${n}`).toBe(true);
    for (const [name, times] of Object.entries(story.retries))
      retries[name] = (retries[name] ?? 0) + times;
  }
  const begun = (await readFile(join(begunIn, 'begun'), 'utf8')).trimEnd().split('\n');
  expect(new Set(begun).size, 'attempts that ran, each once').toBe(begun.length);
  await until(
    () => processesWithEnvironment('BENCHMESH_RUN', run).length === 0,
    'its processes to be gone, those of given up attempts too',
    LONGEST_MS,
  );
  await mesh.cli('audit', run);
  const superseded = [...stories.values()].reduce((sum, one) => sum + one.superseded.size, 0);
  process.stdout.write(
    `${tasks.length} tasks, ${begun.length} attempts ran; crashed: ${JSON.stringify(crashes)}; ` +
      `retries: ${JSON.stringify(retries)}, ${superseded} of them of given up attempts\n`,
  );
});
