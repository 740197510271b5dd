/** One child, both streams, awkward bytes; kills on the way; then sha256 against what it wrote. */
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { CLI, type TestMesh } from './mesh.ts';
import { until } from './until.ts';

/**
 * Writes random bytes with NULs, a line of 10 MB, UTF-8 cut in the middle, no newline at the end, on
 * stdout and stderr; leaves the sha256 of each beside the suite.
 */
const WRITER = `
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync, writeSync } from 'node:fs';
const [, , out, megabytes] = process.argv;
const hashes = { stdout: createHash('sha256'), stderr: createHash('sha256') };
const write = (name, fd, bytes) => {
  hashes[name].update(bytes);
  for (let at = 0; at < bytes.length; ) {
    try { at += writeSync(fd, bytes, at); } catch (error) { if (error.code !== 'EAGAIN') throw error; }
  }
};
writeFileSync(out + '.started', 'x');
const euro = Buffer.from('\\u20ac\\u00e4\\ud83d\\ude00');
for (let i = 0; i < Number(megabytes); i += 1) {
  const bytes = randomBytes(1 << 20);
  bytes.fill(0, 1000, 1100);
  if (i % 3 === 1) write('stderr', 2, bytes);
  else write('stdout', 1, bytes);
  if (i === 1) write('stdout', 1, Buffer.alloc(10 << 20, 'x'));
  for (let k = 0; k < euro.length; k += 1) write('stdout', 1, euro.subarray(k, k + 1));
  await new Promise((resolve) => setTimeout(resolve, 20));
}
write('stdout', 1, Buffer.from('no newline at the end \\u20ac').subarray(0, -1));
writeFileSync(out, JSON.stringify({ stdout: hashes.stdout.digest('hex'), stderr: hashes.stderr.digest('hex') }));
`;

type Part = 'agent' | 'server' | 'coordinator';

export async function expectExactLogs(
  mesh: TestMesh,
  options: { megabytes: number; victims: readonly Part[] },
): Promise<void> {
  await mesh.file('writer.mjs', WRITER);
  const sums = join(mesh.home, `sums-${Math.random()}`);
  const suite = await mesh.file(
    'exact.yaml',
    `name: exact
logLimit: 1GiB
run: [node, ./writer.mjs, "${sums}", "${options.megabytes}"]
`,
  );
  const run = await mesh.submit(suite);
  await until(() => readFile(`${sums}.started`), 'the child to write');
  for (const victim of options.victims) await mesh.kill9(victim);
  if (options.victims.length > 0) await mesh.up();
  await mesh.archived(run, 600_000);
  const written = JSON.parse(await readFile(sums, 'utf8')) as Record<'stdout' | 'stderr', string>;
  const read = {
    stdout: await rawLogHash(mesh, run, '--stdout'),
    stderr: await rawLogHash(mesh, run, '--stderr'),
  };
  expect(read).toEqual(written);
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
