/**
 * What measuring costs: the agent's CPU with 1, 8 and 64 attempts of one sleeping process each, as the
 * kernel counts it, and the same attempts before any is sampled (an agent at rest) for comparison.
 */
import { setTimeout } from 'node:timers/promises';
import { TestMesh } from '#test/support/mesh.ts';
import { cpuSeconds, processesMarked, residentBytes } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import { printRows } from './figures.ts';

const SECONDS = 20;
const CHILDREN = [1, 8, 64] as const;

export async function telemetry(): Promise<void> {
  const mesh = await TestMesh.create();
  try {
    await mesh.up('--slots', '64');
    const pids = [await mesh.pid('agent'), await mesh.pid('server')] as const;
    const rows: [string, string][] = [['at rest', rowOf(await shares(pids), pids[0])]];
    for (const children of CHILDREN) rows.push(await withChildren(mesh, pids, children));
    printRows(rows);
    console.log('  target: under 2% of a core for the agent with 8');
  } finally {
    await mesh.dispose();
  }
}

async function withChildren(
  mesh: TestMesh,
  pids: readonly [number, number],
  children: number,
): Promise<[string, string]> {
  const mark = `${1_000_000 + children}`;
  const cells = Array.from({ length: children }, (_, at) => at).join(', ');
  const suite = await mesh.file(
    `nap-${children}.yaml`,
    `name: nap\naxes:\n  cell: [${cells}]\nneeds:\n  exclusive: false\nrun: [sleep, "${mark}"]\n`,
  );
  const run = await mesh.submit(suite);
  await until(() => processesMarked(mark).length === children, 'the children');
  await setTimeout(3_000);
  const used = await shares(pids);
  await mesh.ok('stop', run, '--now');
  await mesh.archived(run);
  return [`${children} ${children === 1 ? 'attempt' : 'attempts'}`, rowOf(used, pids[0])];
}

/** Of a core, over some seconds. */
async function shares(pids: readonly number[]): Promise<number[]> {
  const before = pids.map(cpuSeconds);
  const begun = performance.now();
  await setTimeout(SECONDS * 1_000);
  const seconds = (performance.now() - begun) / 1_000;
  return pids.map((pid, at) => ((cpuSeconds(pid) - (before[at] ?? 0)) / seconds) * 100);
}

function rowOf([agent = NaN, server = NaN]: readonly number[], pid: number): string {
  const size = (residentBytes(pid) / 2 ** 20).toFixed(0);
  return `agent ${agent.toFixed(2)}% of a core, ${size} MiB; server ${server.toFixed(2)}%; over ${SECONDS} s`;
}
