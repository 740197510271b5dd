/**
 * The program as commander sees it. Builds only the command that was asked for: `--help` and every
 * short command start without loading the rest.
 */
import { Command } from 'commander';
import { COMMANDS } from './commands/index.ts';
import { VERSION } from './version.ts';

/** The program with one command built, or with the names of all for the help. */
export async function buildProgram(only: string | undefined): Promise<Command> {
  const program = new Command('benchmesh')
    .description(
      'Runs benchmark matrices on a mesh of agents, and proves that what was stopped is dead.',
    )
    .version(VERSION)
    .helpCommand(false)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => {
        write(
          `${text
            .trim()
            .replace(/^error: /, 'benchmesh: ')
            .replace(/\s*\n\s*/g, ' ')}\n`,
        );
      },
    })
    .addHelpText(
      'after',
      '\nExample:\n  $ benchmesh run examples/hello.yaml\n\nEach command has --help with an example; docs/cli.md has it all.',
    );
  for (const { name, summary, load } of COMMANDS) {
    const command = program.command(name).summary(summary);
    if (only === name || only === '*') {
      command.description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`);
      (await load()).build(command);
    }
  }
  return program;
}
