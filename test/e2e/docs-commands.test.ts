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

const all = FILES.flatMap((file) => commandsOf(file).map((command) => [file, command] as const));
/** Each once, where it is first shown. */
const shown = [...new Map(all.toReversed().map((one) => [one[1], one])).values()].toReversed();
/** What has something of everything that is shown. */
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
  let isUp = false;
  /** The first task of the latest run; null where that is not one that has ended by itself. */
  let task: string | null = null;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    keeping = await mesh.file('keeping.yaml', KEEPING);
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it('are found', () => {
    expect(shown.length).toBeGreaterThan(8);
  });

  it.each(shown)('%s: %s', async (_file, command) => {
    if (!isUp && !/^(up|down)\b/.test(command)) await mesh.up();
    isUp = !/^(up|down)\b/.test(command);
    if (task === null) {
      await mesh.ok('run', keeping);
      const { tasks } = await mesh.json<{ tasks: { id: string }[] }>('tasks', 'latest');
      task = tasks[0]?.id ?? '';
    }
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
    if (args[0] === 'run') {
      await mesh.cli(['stop', 'latest']);
      task = null;
    }
    // 9: a stop of a run that has ended by then; 5: all of it passed, and nothing is to be retried, or the
    // agent is none of this mesh.
    const mayLack = args[0] === 'retry' || args[1] === 'forget' || args.includes('--rank');
    const allowed = mayLack ? [0, 5] : [0, 9];
    expect(allowed, result.stdout + result.stderr).toContain(result.status);
  });
});
