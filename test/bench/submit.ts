/**
 * A matrix of 10,000 cells: how long `benchmesh plan` and `benchmesh run --detach` take from the start of the
 * process to its end, beside a process of Node that does nothing and a `benchmesh` that only says its version; and
 * what they and the coordinator hold in memory at most. On a busy machine the CPU they use says more.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CLI, TestMesh } from '#test/support/mesh.ts';
import { peakResidentBytes } from '#test/support/processes.ts';
import { ms, printRows, summarise } from './figures.ts';

const CELLS = 10_000;
const ROUNDS = 9;
const GOAL_MS = 2_000;
const MIB = 1024 ** 2;
/** Writes what the process has used, when it ends. */
const USAGE = `data:text/javascript,import{writeFileSync}from'node:fs';process.on('exit',()=>writeFileSync(process.env.USAGE_FILE,JSON.stringify(process.resourceUsage())))`;

export async function submit(): Promise<void> {
  const mesh = await TestMesh.create();
  try {
    // No agent has room for what is submitted: it waits, and nobody is disturbed.
    await mesh.up('--slots', '1');
    const suite = await mesh.file('matrix.yaml', suiteText());
    const commands: readonly (readonly [string, readonly string[]])[] = [
      ['node, nothing', ['-e', '0']],
      ['benchmesh --version', [CLI, '--version']],
      [`plan of ${CELLS.toLocaleString('en-US')} cells`, [CLI, 'plan', suite]],
      [`submit of ${CELLS.toLocaleString('en-US')} cells`, [CLI, 'run', suite, '--detach']],
    ];
    const taken = new Map(commands.map(([name]) => [name, [] as number[]]));
    for (let round = 0; round <= ROUNDS; round += 1)
      for (const [name, args] of commands) {
        const beganMs = performance.now();
        await ended(mesh, args);
        // The first of each warms up what the machine caches.
        if (round > 0) taken.get(name)?.push(performance.now() - beganMs);
      }
    const rows: [string, string][] = [];
    for (const [name, args] of commands) {
      const file = join(mesh.home, 'usage');
      await ended(mesh, ['--import', USAGE, ...args], { USAGE_FILE: file });
      const used = JSON.parse(await readFile(file, 'utf8')) as NodeJS.ResourceUsage;
      const cpuMs = (used.userCPUTime + used.systemCPUTime) / 1_000;
      const times = summarise(taken.get(name) ?? []);
      const goal = args.includes(suite)
        ? `; goal ${GOAL_MS / 1_000} s: ${times.median < GOAL_MS ? 'met' : 'NOT met'}`
        : '';
      rows.push([
        name,
        `${ms(times)}, ${cpuMs.toFixed(0)} ms of CPU, ${(used.maxRSS / 1_024).toFixed(0)} MiB at most${goal}`,
      ]);
    }
    const held = peakResidentBytes(await mesh.pid('coordinator'));
    rows.push([
      'coordinator',
      `${(held / MIB).toFixed(0)} MiB at most, with ${ROUNDS + 2} of these runs`,
    ]);
    printRows(rows);
  } finally {
    await mesh.dispose();
  }
}

/** Resolves at the end of the process; rejects where it fails. */
function ended(
  mesh: TestMesh,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  return new Promise((settle, fail) => {
    spawn(process.execPath, args, {
      cwd: mesh.home,
      env: { ...process.env, BENCHMESH_HOME: mesh.home, NO_COLOR: '1', ...env },
      stdio: 'ignore',
    })
      .on('error', fail)
      .on('close', (status) => {
        if (status === 0) settle();
        else fail(new Error(`${args.join(' ')}: status ${String(status)}`));
      });
  });
}

function suiteText(): string {
  const list = (count: number): string => Array.from({ length: count }, (_, at) => at).join(', ');
  const axes = `  model: [m1, m2, m3, m4, m5]\n  batch: [${list(20)}]\n  length: [${list(100)}]`;
  const command = `[./bench, --model, "{{model}}", --batch, "{{batch}}", --length, "{{length}}"]`;
  return `name: matrix\naxes:\n${axes}\nneeds: { slots: 8 }\nrun: ${command}\n`;
}
