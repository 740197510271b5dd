/** What a local mesh costs at rest: CPU and memory of all its processes together. */
import { setTimeout } from 'node:timers/promises';
import { TestMesh } from '#test/support/mesh.ts';
import { cpuSeconds, residentBytes } from '#test/support/processes.ts';
import { printRows } from './figures.ts';

const SECONDS = 60;
const PARTS = ['server', 'coordinator', 'agent'] as const;

export async function idle(): Promise<void> {
  const mesh = await TestMesh.create();
  try {
    await mesh.up();
    // A run first: what a mesh keeps afterwards counts too.
    await mesh.ok('run', await mesh.file('hello.yaml', 'name: hello\nrun: [echo, hello]\n'));
    await setTimeout(20_000);
    const pids = await Promise.all(PARTS.map((part) => mesh.pid(part)));
    const before = pids.map(cpuSeconds);
    await setTimeout(SECONDS * 1000);
    const shares = pids.map(
      (pid, index) => ((cpuSeconds(pid) - (before[index] ?? 0)) / SECONDS) * 100,
    );
    const sizes = pids.map((pid) => residentBytes(pid) / 2 ** 20);
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    printRows([
      ...PARTS.map((part, index): [string, string] => [
        part,
        row(shares[index] ?? NaN, sizes[index] ?? NaN),
      ]),
      ['together', `${row(sum(shares), sum(sizes))}; target under 2% and 250 MiB`],
    ]);
  } finally {
    await mesh.dispose();
  }
}

function row(share: number, size: number): string {
  return `${share.toFixed(2)}% of a core over ${SECONDS} s, ${size.toFixed(0)} MiB resident`;
}
