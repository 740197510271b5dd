/** Every benchmesh command shown in the docs is one that works. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

const FILES = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** Lines `$ benchmesh ...` in code blocks, without comments. */
function commandsOf(file: string): string[] {
  return [
    ...readFileSync(file, 'utf8').matchAll(/^ *\$ (?:npx )?benchmesh (.*?)(?:\s+#.*)?$/gm),
  ].map((match) => match[1] ?? '');
}

/** Splits as a shell does, for what docs use: words and double or single quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  );
}

const shown = FILES.flatMap((file) => commandsOf(file).map((command) => [file, command] as const));
/** What `get` is shown with. */
const KEEPING = `run: {shell: "echo '{}' > result.json"}\nfiles: [result.json]\n`;
/** Commands that stay in the foreground until they are ended. */
const STAYS = /^(up|agent run|coordinator)\b/;

/** The names that docs use for a suite, a run and a task. */
function withRealNames(command: string, task: string): string {
  return command
    .replace(/ > \S+$/, '')
    .replaceAll(/(?<=^| )suite\.yaml/g, 'examples/openssl-speed.yaml')
    .replaceAll(/\S*\bagent\.yaml/g, 'examples/agent.yaml')
    .replaceAll('k3f9', 'latest')
    .replaceAll('d2xq', task);
}

describe('commands shown in the docs', () => {
  let mesh: TestMesh;
  let keeping: string;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up();
    keeping = await mesh.file('keeping.yaml', KEEPING);
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it('are found', () => {
    expect(shown.length).toBeGreaterThan(8);
  });

  it.each(shown)('%s: %s', async (_file, command) => {
    // Any of these may come after a down, or after a run of the one before.
    if (!/^(up|down)\b/.test(command)) await mesh.up();
    await mesh.ok('run', command.startsWith('get ') ? keeping : resolve('examples/hello.yaml'));
    const task =
      (await mesh.json<{ tasks: { id: string }[] }>('tasks', 'latest')).tasks[0]?.id ?? '';
    const args = words(withRealNames(command, task));
    if (STAYS.test(command) && !args.includes('--detach') && !args.includes('--help')) {
      // Its flags are read all the same: help comes after them.
      expect((await mesh.cli([...args, '--help'])).status).toBe(0);
      return;
    }
    if (args[0] === 'events' && args.includes('--follow')) {
      const following = mesh.start(args);
      await until(() => following.stdout().includes('\n'), 'an event');
      following.process.kill('SIGINT');
      await following.ended;
      return;
    }
    const result = await mesh.cli(args, { cwd: resolve('.') });
    if (args[0] === 'run') await mesh.cli(['stop', 'latest']);
    // 9: a stop of a run that has ended by then.
    expect([0, 9], result.stdout + result.stderr).toContain(result.status);
  });
});
