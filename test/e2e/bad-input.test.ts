/** Every bad input gets one clear line that says what is wrong, where, and what to do. */
import { chmod, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { TestMesh, type CliResult } from '#test/support/mesh.ts';

/** One line on stderr, no stack trace. */
function expectOneLine(result: CliResult, status: number, text: RegExp): void {
  const lines = result.stderr.trim().split('\n');
  expect(lines, result.stderr).toHaveLength(1);
  expect(lines[0]).toMatch(text);
  expect(result.stderr).not.toMatch(/\n\s+at /);
  expect(result.status, result.stderr).toBe(status);
}

describe('a bad suite file', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it.each([
    ['unknown key', 'name: x\nrun: [true]\nrepeets: 3\n', /x\.yaml:3:1: .*repeets.*repeats/],
    ['wrong type', 'name: x\nrun: [true]\nrepeats: many\n', /x\.yaml:3:10: /],
    ['bad template', 'name: x\nrun: [echo, "{{nope}}"]\n', /x\.yaml:2:13: .*nope/],
    ['empty matrix', 'name: x\naxes:\n  a: []\nrun: [true]\n', /x\.yaml:3:\d+: /],
    [
      'a billion cells',
      `name: x\naxes:\n${['a', 'b', 'c'].map((axis) => `  ${axis}: [${Array.from({ length: 1000 }, (_, i) => i).join(', ')}]\n`).join('')}run: [true]\n`,
      /1[,_ ]?000[,_ ]?000[,_ ]?000/,
    ],
    ['not YAML', 'name: [x\n', /x\.yaml:\d+:\d+: /],
  ])('%s', async (_what, text, line) => {
    expectOneLine(await mesh.cli(['run', await mesh.file('x.yaml', text)]), 2, line);
    expectOneLine(await mesh.cli(['plan', await mesh.file('x.yaml', text)]), 2, line);
  });

  it('missing file', async () => {
    expectOneLine(await mesh.cli(['run', 'nowhere.yaml']), 2, /nowhere\.yaml/);
  });

  it.each([
    ['an unknown flag', ['runs', '--nope'], /--nope/],
    ['an unknown command', ['dance'], /dance/],
    ['a bad --set', ['plan', 'ok.yaml', '--set', 'nothing=1'], /nothing/],
    ['a bad --only', ['plan', 'ok.yaml', '--only', 'colour=red'], /colour/],
    ['a bad duration', ['stop', 'latest', '--grace', 'soon'], /soon/],
  ])('%s', async (_what, args, line) => {
    await mesh.file('ok.yaml', 'name: ok\nrun: [echo, ok]\n');
    expectOneLine(await mesh.cli(args), 2, line);
  });

  it('unreachable server', async () => {
    expectOneLine(await mesh.cli(['runs', '--server', 'nats://127.0.0.1:9']), 7, /127\.0\.0\.1:9/);
  });

  it('an unknown run', async () => {
    expectOneLine(
      await mesh.cli(['show', '2020-01-01_00-00-00-aaaa']),
      5,
      /2020-01-01_00-00-00-aaaa/,
    );
  });
});

describe('a bad program', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up();
    await writeFile(join(mesh.home, 'plain.txt'), 'no program\n');
    await chmod(join(mesh.home, 'plain.txt'), 0o644);
    const elf = Buffer.concat([
      Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]),
      Buffer.alloc(200, 7),
    ]);
    await writeFile(join(mesh.home, 'corrupt'), elf, { mode: 0o755 });
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it.each([
    ['not found', '[no-such-program-here]', /not found: no-such-program-here$/],
    ['not executable', '[./plain.txt]', /not executable: .*plain\.txt$/],
    ['a corrupt ELF', '[./corrupt]', /corrupt binary.*: .*\/corrupt$/],
  ])('%s', async (_what, argv, message) => {
    const result = await mesh.cli([
      'run',
      await mesh.file('exec.yaml', `name: exec\nrun: ${argv}\n`),
    ]);
    expect(result.status).toBe(3);
    const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', 'latest');
    expect(tasks[0]).toMatchObject({ outcome: 'failed', stage: 'run', class: 'exec' });
    expect(tasks[0]?.message).toMatch(message);
  });
});

describe('a bad host', () => {
  it('state folder that cannot be written', async () => {
    const mesh = await TestMesh.create();
    await writeFile(join(mesh.home, 'file'), '');
    const result = await mesh.cli(['up', '--detach'], {
      env: { BENCHMESH_HOME: join(mesh.home, 'file') },
    });
    expectOneLine(result, 1, /file/);
    await mesh.dispose();
  });

  it('state folder where no folder can be', async () => {
    const mesh = await TestMesh.create();
    const suite = await mesh.file('ok.yaml', 'name: ok\nrun: [echo, ok]\n');
    for (const args of [
      ['up', '--detach'],
      ['run', suite],
    ]) {
      const home = '/proc/benchmesh';
      const result = await mesh.cli(args, { env: { BENCHMESH_HOME: home }, deadlineMs: 15_000 });
      expectOneLine(result, 1, /\/proc\/benchmesh cannot be written/);
    }
    await mesh.dispose();
  });

  it('port taken', async () => {
    const mesh = await TestMesh.create();
    const holder = createServer();
    const port = await new Promise<number>((settle) => {
      holder.listen(0, '127.0.0.1', () => {
        const address = holder.address();
        settle(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    expectOneLine(
      await mesh.cli(['up', '--detach', '--port', String(port)]),
      1,
      new RegExp(String(port)),
    );
    await new Promise((settle) => holder.close(settle));
    await mesh.dispose();
  });
});
