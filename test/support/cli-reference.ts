/** The parts of docs/cli.md that are generated: every command with its flags, every exit status. */
import type { Command } from 'commander';
import { ERROR_CODES, EXIT } from '#protocol/messages/errors.ts';

/** A section for each command, in the order of the help. */
export function commandReference(program: Command): string {
  return program.commands
    .flatMap((command) => leavesOf(command))
    .map(sectionOf)
    .join('\n\n');
}

export interface Leaf {
  /** `agents`, or `agent run`. */
  readonly name: string;
  readonly command: Command;
}

/** What can be run: the command itself where it has no subcommands or arguments of its own, and its subcommands. */
export function leavesOf(command: Command): Leaf[] {
  const { commands, registeredArguments } = command;
  const isOne = commands.length === 0 || registeredArguments.length > 0;
  const below = commands.map((one) => ({ name: `${command.name()} ${one.name()}`, command: one }));
  return isOne ? [{ name: command.name(), command }, ...below] : below;
}

function sectionOf({ name, command }: Leaf): string {
  const args = command.registeredArguments.map((argument) => {
    const name = argument.required ? `<${argument.name()}>` : `[${argument.name()}]`;
    return ` ${name}`;
  });
  const rows = [
    ...command.registeredArguments.map((argument) => [argument.name(), argument.description]),
    ...command.options.map((option) => [
      option.flags,
      option.description + choicesOf(option.argChoices),
    ]),
  ];
  return [
    `### ${name}`,
    '',
    command.description(),
    '',
    '```',
    `benchmesh ${name}${args.join('')} [options]`,
    '```',
    ...(rows.length === 0 ? [] : ['']),
    ...rows.map(([flags, text]) => `- \`${flags ?? ''}\`: ${text ?? ''}`),
    ...notesOf(command),
  ].join('\n');
}

function choicesOf(choices: readonly string[] | undefined): string {
  return choices === undefined ? '' : ` (${choices.join(', ')})`;
}

/** What `--help` says below the options: notes and examples. */
function notesOf(command: Command): string[] {
  const [notes = '', examples = ''] = helpOf(command).split(/\nExamples?:\n/);
  const below = notes.split('display help for command\n')[1]?.trim() ?? '';
  const lines = examples.split('\n').filter((line) => line.startsWith('  $ '));
  return [
    ...(below === '' ? [] : ['', below]),
    '',
    '```',
    ...lines.map((line) => line.slice(2)),
    '```',
  ];
}

/** The whole `--help`, with what is added after it. */
export function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}

/** Every exit status with the codes that lead to it. */
export function exitReference(): string {
  const meanings: Readonly<Record<keyof typeof EXIT, string>> = {
    ok: 'done',
    failed:
      'failed; `doctor`, `audit`: something is wrong; `run`, `watch`: the run was stopped by somebody, or could not be archived',
    usage: 'the command line or a file named on it is wrong',
    benchmarkFailed: 'a benchmark failed',
    notPermitted: 'not permitted',
    notFound: 'not found',
    busy: 'busy',
    unreachable: 'mesh unreachable',
    stopOpen: 'the stop is still open, unproven, or something cannot be killed',
    alreadyEnded: 'ended already',
    timedOut: 'timed out',
    interrupted: 'interrupted by Ctrl-C',
  };
  const rows = (Object.keys(EXIT) as (keyof typeof EXIT)[]).map((name) => {
    const codes = Object.entries(ERROR_CODES)
      .filter(([, rule]) => rule.exit === EXIT[name])
      .map(([code, rule]) => `\`${code}\`: ${rule.meaning}`);
    return `- **${EXIT[name]}** ${meanings[name]}${codes.length === 0 ? '' : `\n${codes.map((code) => `  - ${code}`).join('\n')}`}`;
  });
  return rows.join('\n');
}
