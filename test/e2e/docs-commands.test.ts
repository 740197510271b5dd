/** Every benchmesh command shown in the docs is one that works. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';

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
/** Commands that stay in the foreground until they are ended. */
const STAYS = new Set(['up', 'agent', 'coordinator']);

describe('commands shown in the docs', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up();
    await mesh.ok('run', resolve('examples/hello.yaml'));
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it('are found', () => {
    expect(shown.length).toBeGreaterThan(8);
  });

  it.each(shown)('%s: %s', async (_file, command) => {
    const args = words(command);
    // Any of these may come after a down of the one before.
    if (args[0] !== 'up' && args[0] !== 'down') await mesh.up();
    if (STAYS.has(args[0] ?? '') && !args.includes('--detach') && !args.includes('--help')) {
      expect((await mesh.cli([args[0] ?? '', '--help'])).status).toBe(0);
      return;
    }
    const result = await mesh.cli(args, { cwd: resolve('.'), deadlineMs: 120_000 });
    // 9: a stop of a run that has ended by then.
    expect([0, 9], result.stdout + result.stderr).toContain(result.status);
  });
});
