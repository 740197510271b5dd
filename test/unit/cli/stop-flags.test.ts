/** Flags of `stop` that exclude each other are refused before anything is asked. */
import { expect, it } from 'vitest';
import { buildProgram } from '#cli/program.ts';

it('--now and --grace', async () => {
  const program = await buildProgram('stop');
  const stop = program.commands.find((command) => command.name() === 'stop');
  const said: string[] = [];
  stop?.exitOverride().configureOutput({ writeErr: (text) => said.push(text) });
  await expect(
    program.parseAsync(['node', 'benchmesh', 'stop', 'latest', '--now', '--grace', '3s']),
  ).rejects.toMatchObject({ code: 'commander.conflictingOption' });
  expect(said.join('')).toContain("option '--now' cannot be used with option '--grace");
});
