/**
 * docs/cli.md says what the program says. Two regions of it are generated from the commands and the
 * table of errors: `UPDATE_DOCS=1 npx vitest run test/unit/cli/docs.test.ts` writes them.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '#cli/commands/index.ts';
import { buildProgram } from '#cli/program.ts';
import {
  commandReference,
  exitReference,
  helpOf,
  leavesOf,
  type Leaf,
} from '#test/support/cli-reference.ts';

const FILE = 'docs/cli.md';

describe('docs/cli.md', () => {
  let text: string;
  beforeAll(async () => {
    text = await readFile(FILE, 'utf8');
  });

  function region(name: string): { before: string; inside: string; after: string } {
    const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- end of ${name} -->`];
    const [before = '', rest = ''] = text.split(begin);
    const [inside = '', after = ''] = rest.split(end);
    return { before: before + begin, inside: inside.trim(), after: end + after };
  }

  async function expectRegion(name: string, wanted: string): Promise<void> {
    const { before, inside, after } = region(name);
    if (process.env['UPDATE_DOCS'] === '1') {
      text = `${before}\n${wanted}\n${after}`;
      await writeFile(FILE, text);
      return;
    }
    expect(inside).toBe(wanted);
  }

  it('has every command, argument and flag', async () => {
    await expectRegion('commands', commandReference(await buildProgram('*')));
  });

  it('has in its table of JSON every command that gives some, and every kind', async () => {
    const [, table = ''] = /\n## JSON\n([^]*?)\n## /.exec(text) ?? [];
    const rows = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
    const named = rows.flatMap(([, commands = '']) => commands.split(', '));
    for (const { name: path, command } of leavesOf(await buildProgram('*')))
      if (command.options.some(({ long }) => long === '--json'))
        expect(named).toContain(path.replace(/^benchmesh /, ''));
    const kinds = new Set<string>();
    for (const file of await readdir('cli', { recursive: true })) {
      if (!file.endsWith('.ts')) continue;
      const source = await readFile(join('cli', file), 'utf8');
      for (const [, kind = ''] of source.matchAll(/(?:printJson|jsonLine)\(\s*'([^']+)'/g))
        kinds.add(kind);
    }
    expect(kinds.size).toBeGreaterThan(20);
    for (const kind of kinds) expect(table).toContain(`\`${kind}\``);
  });

  it('has every exit status and error code', async () => {
    await expectRegion('exit statuses', exitReference());
  });
});

describe.each(COMMANDS.map(({ name }) => name))('%s --help', (name) => {
  async function leaves(): Promise<Leaf[]> {
    const program = await buildProgram(name);
    const command = program.commands.find((one) => one.name() === name);
    if (command === undefined) throw new Error(`there is no command ${name}`);
    return leavesOf(command);
  }

  it('has an example that the program can read', async () => {
    for (const { name: path, command } of await leaves()) {
      const help = helpOf(command);
      const examples = help.split('\n').filter((line) => line.startsWith('  $ benchmesh '));
      expect(examples.length).toBeGreaterThan(0);
      for (const example of examples) {
        const words =
          example
            .split(/ > | -- /)[0]
            ?.trim()
            .split(/\s+/) ?? [];
        expect(words.slice(2).join(' ')).toMatch(new RegExp(`^${path}( |$)`));
        for (const flag of words.filter((word) => word.startsWith('-'))) {
          expect(
            command.options.some(({ short, long }) => flag === short || flag === long),
            `${flag} of ${example}`,
          ).toBe(true);
        }
      }
    }
  });

  it('offers --json, except where a program or systemd is to read it', async () => {
    for (const { command } of await leaves()) {
      const hasJson = command.options.some((option) => option.long === '--json');
      expect(hasJson).toBe(name !== 'agent' && name !== 'coordinator');
    }
  });
});
