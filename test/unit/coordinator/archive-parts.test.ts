import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pathIn } from '#coordinator/results/collect-files.ts';
import { eachOf, publishFolder } from '#coordinator/results/durable-files.ts';
import { createLogArchive } from '#coordinator/results/log-archive.ts';
import { parseFlags } from '#coordinator/options.ts';
import { attemptOfStart, startId } from '#coordinator/core/starts/start.ts';
import { formatChunks, LOG_HEADERS, type LogChunk } from '#protocol/messages/attempt/log.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'benchmesh-archive-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the log of an attempt', () => {
  const piece = (n: number, offset: number, text: string, more: Record<string, string> = {}) => {
    const data = new TextEncoder().encode(text);
    const chunks: LogChunk[] =
      data.length === 0 ? [] : [{ stream: 'stdout', bytes: data.length, arrivalMs: 7 }];
    const headers: Record<string, string> = {
      [LOG_HEADERS.offset]: String(offset),
      [LOG_HEADERS.step]: 'run',
      [LOG_HEADERS.chunks]: formatChunks(chunks),
      ...more,
    };
    return { task: 't', n, data, header: (name: string) => headers[name] ?? null };
  };
  const rows = async (n: number): Promise<unknown[]> =>
    (await readFile(join(folder, 't', `${n}.index`), 'utf8'))
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));

  it('drops what comes again and names what is not there', async () => {
    const archive = createLogArchive(folder);
    await archive.write(piece(1, 0, 'hello'));
    await archive.write(piece(1, 0, 'hello'));
    await archive.write(piece(1, 3, 'lo wor'));
    await archive.write(piece(1, 9, '', { [LOG_HEADERS.gapTo]: '100' }));
    await archive.write(piece(1, 100, 'end'));
    await archive.truncate('t', 1, 110);
    await archive.close();
    expect(await readFile(join(folder, 't', '1.log'), 'utf8')).toBe('hello worend');
    const chunk = { stream: 'stdout', arrivalMs: 7, step: 'run' };
    expect(await rows(1)).toEqual([
      { offset: 0, length: 5, ...chunk },
      { offset: 5, length: 4, ...chunk },
      { offset: 9, gapTo: 100 },
      { offset: 100, length: 3, ...chunk },
      { offset: 103, gapTo: 110 },
    ]);
  });

  it('keeps a bounded number of files open, and every byte', async () => {
    const archive = createLogArchive(folder);
    for (let round = 0; round < 3; round += 1)
      for (let n = 1; n <= 100; n += 1) await archive.write(piece(n, round * 2, `${round}\n`));
    const open = (await readdir('/proc/self/fd').catch(() => [])).length;
    await archive.close();
    expect(open).toBeLessThan(150);
    for (let n = 1; n <= 100; n += 1)
      expect(await readFile(join(folder, 't', `${n}.log`), 'utf8')).toBe('0\n1\n2\n');
  });
});

describe('the directory', () => {
  it('appears by one rename, and one that is there is left as it is', async () => {
    const [first, second, target] = ['.partial-1', '.partial-2', 'run'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    await mkdir(first);
    await writeFile(join(first, 'a'), 'first');
    await publishFolder(first, target);
    await mkdir(second);
    await writeFile(join(second, 'a'), 'second');
    await publishFolder(second, target);
    expect(await readFile(join(target, 'a'), 'utf8')).toBe('first');
    expect(await readdir(folder)).toEqual(['run']);
  });

  it('after a failure nothing of the work goes on', async () => {
    let running = 0;
    const work = async (item: number): Promise<void> => {
      running += 1;
      await new Promise(setImmediate);
      running -= 1;
      if (item === 3) throw new Error('no space');
    };
    await expect(eachOf([1, 2, 3, 4, 5, 6, 7, 8], 4, work)).rejects.toThrow('no space');
    expect(running).toBe(0);
  });

  it.each(['../x', '/etc/passwd', 'a/../../x', '', '.', 'a\0b', 'a/'])(
    'takes no file by the path %o',
    (path) => {
      expect(pathIn('/results/files', path)).toBeNull();
    },
  );
  it('takes one below', () => {
    expect(pathIn('/r', 'a/./b.txt')).toBe('/r/a/b.txt');
  });
});

describe('the id of a start', () => {
  it.each(['k7mh2xq9abcd', 'with_separator_2', 'x-1'])('tells the attempt of task %s', (task) => {
    const run = '2026-02-13_14-30-45-k3f9';
    expect(attemptOfStart(startId(run, task, 12), run)).toEqual({ run, task, n: 12 });
  });
  it.each(['other_t_1', '2026-02-13_14-30-45-k3f9', '2026-02-13_14-30-45-k3f9_t_x'])(
    'is not %s',
    (id) => {
      expect(attemptOfStart(id, '2026-02-13_14-30-45-k3f9')).toBeNull();
    },
  );
});

describe('the flags', () => {
  const needed = ['--id', 'c1', '--server', 'nats://x', '--results', 'r'];
  it('are read', () => {
    expect(parseFlags([...needed, '--home', '/h', '--idle-exit', '60000'])).toMatchObject({
      id: 'c1',
      idleExitMs: 60_000,
      credential: null,
    });
  });
  it.each([
    [['--id', 'c1']],
    [[...needed, '--nonsense']],
    [[...needed, '--idle-exit', '60000']],
    [[...needed, '--home', '/h', '--idle-exit', 'soon']],
    [['--id', 'a.b', '--server', 's', '--results', 'r']],
  ])('refuse %o', (argv) => {
    expect(() => parseFlags(argv)).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });
});
