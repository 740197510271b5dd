/**
 * Tasks per second for trivial commands on two slots: the whole mesh, everything durable, beside
 * tools that keep nothing. Rounds alternate, so that a drift of the machine meets all alike; the first
 * one warms all of them up, the mesh as it is between two runs, and is told but not counted.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { RunView } from '#protocol/fold/run-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { printRows, summarise } from './figures.ts';

const TASKS = 2000;
const ROUNDS = 5;

export async function throughput(): Promise<void> {
  const mesh = await TestMesh.create();
  try {
    await mesh.up('--slots', '2');
    const peers: [string, () => number | Promise<number>][] = [
      ['benchmesh, 2 slots', () => meshRate(mesh)],
      ['xargs -P2', () => shellRate(`seq ${TASKS} | xargs -P2 -n1 true`)],
      ['node spawn, 2 at a time', nodeRate],
    ];
    if (spawnSync('parallel', ['--version']).status === 0) {
      peers.push(['GNU parallel -j2', () => shellRate(`seq ${TASKS} | parallel -j2 true`)]);
    } else {
      console.log('  (GNU parallel is not installed: apt-get install parallel)');
    }
    const rates = new Map<string, number[]>();
    const warmUps = new Map<string, number>();
    for (const [name, rate] of peers) warmUps.set(name, await rate());
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [name, rate] of peers) rates.set(name, [...(rates.get(name) ?? []), await rate()]);
    }
    const own = summarise(rates.get('benchmesh, 2 slots') ?? []).median;
    printRows(
      Array.from(rates, ([name, values]) => {
        const { min, median, max } = summarise(values);
        const first = (warmUps.get(name) ?? NaN).toFixed(0);
        const ratio = name.startsWith('benchmesh')
          ? ''
          : `; benchmesh is ${(own / median).toFixed(2)} of it`;
        return [
          name,
          `${median.toFixed(0)} tasks/s (${min.toFixed(0)} to ${max.toFixed(0)}; first ${first})${ratio}`,
        ];
      }),
    );
  } finally {
    await mesh.dispose();
  }
}

async function meshRate(mesh: TestMesh): Promise<number> {
  const cells = Array.from({ length: TASKS }, (_, index) => index).join(', ');
  const suite = await mesh.file(
    'true.yaml',
    `name: trivial\naxes:\n  cell: [${cells}]\nneeds:\n  exclusive: false\nrun: ['true']\n`,
  );
  const run = await mesh.submit(suite);
  await mesh.archived(run, 300_000);
  const { run: view } = await mesh.json<{ run: RunView }>('show', run);
  if (view.outcomes.passed !== TASKS)
    throw new Error(`not all passed: ${JSON.stringify(view.outcomes)}`);
  return TASKS / (view.elapsedMs / 1000);
}

function shellRate(command: string): number {
  const begun = performance.now();
  const result = spawnSync('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (result.status !== 0) throw new Error(`${command}: status ${String(result.status)}`);
  return TASKS / ((performance.now() - begun) / 1000);
}

async function nodeRate(): Promise<number> {
  const begun = performance.now();
  let left = TASKS;
  const slot = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await new Promise((settle, fail) => {
        spawn('true', { stdio: 'ignore' }).on('error', fail).on('close', settle);
      });
    }
  };
  await Promise.all([slot(), slot()]);
  return TASKS / ((performance.now() - begun) / 1000);
}
