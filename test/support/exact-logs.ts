/** One child, both streams, awkward bytes; kills on the way; then sha256 against what it wrote. */
import { createHash, randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { CLI, type TestMesh } from './mesh.ts';
import { peakResidentBytes } from './processes.ts';
import { until } from './until.ts';

/**
 * Writes on stdout and stderr, each: random bytes with NULs, a line of 10 MB, UTF-8 cut in the middle
 * of its characters and mixed with the other stream's, no newline at the end. Says how far it is, and
 * leaves the sha256 of each stream beside the suite.
 */
const WRITER = `
import { createHash, randomBytes } from 'node:crypto';
import { renameSync, writeFileSync, writeSync } from 'node:fs';
const [, , out, megabytes] = process.argv;
const hashes = { 1: createHash('sha256'), 2: createHash('sha256') };
const write = (fd, bytes) => {
  hashes[fd].update(bytes);
  for (let at = 0; at < bytes.length; ) {
    try { at += writeSync(fd, bytes, at); } catch (error) { if (error.code !== 'EAGAIN') throw error; }
  }
};
const tell = (file, text) => {
  writeFileSync(file + '.new', text);
  renameSync(file + '.new', file);
};
const text = Buffer.from('\u20ac\u00e4\ud83d\ude00');
for (let i = 0; i < Number(megabytes); i += 1) {
  const bytes = randomBytes(1 << 20);
  bytes.fill(0, 1000, 1100);
  write(i % 3 === 1 ? 2 : 1, bytes);
  for (let k = 0; k < text.length; k += 1)
    for (const fd of [1, 2]) write(fd, text.subarray(k, k + 1));
  if (i === 1 || i === 2) write(i, Buffer.alloc(10 << 20, 'x'));
  tell(out + '.at', String(i + 1));
  await new Promise((resolve) => setTimeout(resolve, 20));
}
for (const fd of [1, 2]) write(fd, Buffer.from('no newline at the end \u20ac').subarray(0, -1));
tell(out, JSON.stringify({ stdout: hashes[1].digest('hex'), stderr: hashes[2].digest('hex') }));
`;

type Part = 'agent' | 'server' | 'coordinator';

/** Who is killed while it writes: at equal distances. */
export const KILLS: readonly (readonly [string, readonly Part[]])[] = [
  ['nothing dies', []],
  ['the agent is killed', ['agent']],
  ['the server is killed', ['server']],
  ['the coordinator is killed', ['coordinator']],
  ['all three are killed', ['agent', 'server', 'coordinator']],
];

export async function expectExactLogs(
  mesh: TestMesh,
  options: { megabytes: number; victims: readonly Part[] },
): Promise<void> {
  const { megabytes, victims } = options;
  await mesh.file('writer.mjs', WRITER);
  const sums = join(mesh.home, `sums-${randomUUID()}`);
  const suite = await mesh.file(
    'exact.yaml',
    `name: exact
logLimit: 1GiB
run: [node, ./writer.mjs, "${sums}", "${megabytes}"]
`,
  );
  const from = performance.now();
  const run = await mesh.submit(suite);
  for (const [index, victim] of victims.entries()) {
    const share = (index + 1) / (victims.length + 1);
    await until(
      async () => Number(await readFile(`${sums}.at`, 'utf8')) >= megabytes * share,
      `${share} of it to be written`,
    );
    await mesh.kill9(victim);
  }
  if (victims.length > 0) await mesh.up();
  const directory = await mesh.archived(run, 600_000);
  await report(mesh, `${megabytes} MB in ${Math.round(performance.now() - from)} ms`);
  const written = JSON.parse(await readFile(sums, 'utf8')) as Record<'stdout' | 'stderr', string>;
  const read = {
    stdout: await rawLogHash(mesh, run, '--stdout'),
    stderr: await rawLogHash(mesh, run, '--stderr'),
  };
  expect(read).toEqual(written);
  await mesh.ok('audit', run);
  const self = JSON.parse(await readFile(join(directory, 'benchmesh.json'), 'utf8')) as unknown;
  expect(self).toMatchObject({ complete: true, missingLogs: [] });
}

/** Figures for people: asserted by nobody. */
async function report(mesh: TestMesh, what: string): Promise<void> {
  const peaks: string[] = [];
  for (const part of ['server', 'coordinator', 'agent'] as const) {
    peaks.push(`${part} ${Math.round(peakResidentBytes(await mesh.pid(part)) / 1e6)} MB`);
  }
  process.stdout.write(`${what}; resident at most: ${peaks.join(', ')}\n`);
}

/** sha256 of what `logs --raw` gives, without holding it in memory. */
async function rawLogHash(mesh: TestMesh, run: string, stream: string): Promise<string> {
  const child = spawn(process.execPath, [CLI, 'logs', run, '--raw', stream], {
    env: { ...process.env, BENCHMESH_HOME: mesh.home },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const hash = createHash('sha256');
  for await (const bytes of child.stdout) hash.update(bytes as Buffer);
  return hash.digest('hex');
}
