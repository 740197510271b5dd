import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openFileLog } from '#protocol/runtime/pino-log.ts';

const MOST = 4_096;

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'benchmesh-log-'));
  file = join(dir, 'agent.log');
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

function write(lines: number): void {
  const { log, close } = openFileLog(file, {}, MOST);
  for (let i = 0; i < lines; i += 1) log.info({ i }, 'one more');
  close();
}

async function numbers(path: string): Promise<number[]> {
  const lines = (await readFile(path, 'utf8')).trim().split('\n');
  return lines.map((line) => (JSON.parse(line) as { i: number }).i);
}

it('keeps the newest lines, whole and in order, in two files of bounded size', async () => {
  write(1_000);
  expect((await readdir(dir)).sort()).toEqual(['agent.log', 'agent.log.1']);
  for (const path of [file, `${file}.1`]) expect((await stat(path)).size).toBeLessThanOrEqual(MOST);
  const kept = [...(await numbers(`${file}.1`)), ...(await numbers(file))];
  expect(kept).toEqual(kept.map((_, at) => 1_000 - kept.length + at));
});

it('counts what an earlier process wrote', async () => {
  for (let start = 0; start < 100; start += 1) write(2);
  expect((await stat(file)).size).toBeLessThanOrEqual(MOST);
});

it('goes on in the file where it cannot be moved', async () => {
  await mkdir(join(`${file}.1`, 'in the way'), { recursive: true });
  write(200);
  expect(await numbers(file)).toHaveLength(200);
});

it('never moves a link', async () => {
  await writeFile(join(dir, 'elsewhere'), '');
  await symlink('elsewhere', file);
  write(200);
  expect((await readdir(dir)).sort()).toEqual(['agent.log', 'elsewhere']);
  expect(await numbers(file)).toHaveLength(200);
});
