/**
 * Stop of a tree of 200 plain processes: from the command to the proof that nothing is left, beside
 * a kill of the same tree as one process group, which proves nothing.
 */
import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TestMesh } from '#test/support/mesh.ts';
import { processesMarked } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import { ms, printRows, summarise } from './figures.ts';

const TREE = resolve('test/fixtures/process-tree.pl');
const ROUNDS = 10;
const MARK = `stop-bench-${process.pid}`;

export async function stopLatency(): Promise<void> {
  const mesh = await TestMesh.create();
  const ready = join(mesh.home, 'ready');
  const onHost: number[] = [];
  const command: number[] = [];
  const group: number[] = [];
  try {
    await mesh.up();
    const suite = await mesh.file(
      'tree.yaml',
      `name: tree\nrun: [perl, "${TREE}", ${MARK}, "${ready}", plain=199]\n`,
    );
    for (let round = 0; round < ROUNDS; round += 1) {
      const run = await mesh.submit(suite);
      await until(() => readFile(ready), 'the tree');
      const begun = performance.now();
      const stop = await mesh.json<{ agents: { attempts: { goneMs: number }[] }[] }>('stop', run);
      command.push(performance.now() - begun);
      onHost.push(stop.agents[0]?.attempts[0]?.goneMs ?? NaN);
      if (processesMarked(MARK).length > 0) throw new Error('the stop left processes');
      await rm(ready);
      group.push(await groupKill(ready));
      await rm(ready);
    }
  } finally {
    await mesh.dispose();
  }
  const floor = summarise(group);
  printRows([
    ['benchmesh stop, on the host (TERM to proof)', ms(summarise(onHost))],
    ['benchmesh stop, the whole command', ms(summarise(command))],
    ['kill of the process group, until gone', ms(floor)],
    ['ratio, on the host to group kill', (summarise(onHost).median / floor.median).toFixed(2)],
  ]);
}

async function groupKill(ready: string): Promise<number> {
  const child = spawn('perl', [TREE, MARK, ready, 'plain=199'], {
    detached: true,
    stdio: 'ignore',
  });
  await until(() => readFile(ready), 'the tree');
  const begun = performance.now();
  process.kill(-(child.pid ?? NaN), 'SIGTERM');
  await until(() => processesMarked(MARK).length === 0, 'the group to be gone');
  return performance.now() - begun;
}
