/** What every command is made of. One command per file in cli/commands/. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { EXIT } from '#protocol/messages/errors.ts';
import { readLabels } from '#protocol/messages/agent/labels.ts';
import { parseDuration } from '#protocol/suite/units.ts';

/** A command's module: adds its arguments, options, help and action. */
export interface CommandModule {
  build(command: Command): void;
}

/** How the mesh is found: see cli/mesh/find-mesh.ts. */
export interface MeshFlags {
  readonly server?: string;
  readonly credential?: string;
  readonly results?: string;
}

export interface JsonFlag {
  readonly json?: boolean;
}

export function withMesh(command: Command): Command {
  return command
    .option('--server <url>', 'nats-server of the mesh; else BENCHMESH_SERVER, else the local mesh')
    .option('--credential <file>', 'credential for --server; else BENCHMESH_CREDENTIAL')
    .option(
      '--results <dir>',
      'where finished runs are; else BENCHMESH_RESULTS, else of the local mesh',
    );
}

export function withJson(command: Command, follows = false): Command {
  return command.option(
    '--json',
    follows ? 'one versioned JSON value a line' : 'one versioned JSON value',
  );
}

/** Examples, as every `--help` ends. */
export function withExamples(command: Command, lines: readonly string[]): Command {
  const title = lines.length === 1 ? 'Example:' : 'Examples:';
  return command.addHelpText(
    'after',
    `\n${title}\n${lines.map((line) => `  $ ${line}`).join('\n')}`,
  );
}

/** `10s`, `500ms`, `2m`; `what` names the flag in the error. */
export function durationOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    const ms = parseDuration(/^\d+$/.test(text) ? `${text}s` : text);
    if (ms === null) throw new InvalidArgumentError('It must look like 10s, 500ms or 2m.');
    return ms;
  });
}

export function integerOption(flags: string, description: string, least: number): Option {
  return new Option(flags, description).argParser((text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`It must be a whole number, at least ${least}.`);
    return value;
  });
}

/** Of who starts a coordinator. */
export function cordonAfterOption(otherwise: string): Option {
  const rule =
    'cordon a host after so many different tasks failed there in a row, and not elsewhere';
  return integerOption('--cordon-after <tasks>', `${rule}; ${otherwise}, 0: never`, 0);
}

/** Of what is asked of a task on several hosts. */
export interface RankFlag {
  readonly rank?: number;
}

export function withRank(command: Command, without: string): Command {
  return command.addOption(
    integerOption('--rank <rank>', `of a task on several hosts; without it ${without}`, 0),
  );
}

/** `--label key=value` of an agent, several times; checked as they are read. */
export function labelOption(description: string): Option {
  return new Option('--label <key=value>', description).argParser(
    (text, before: readonly string[] | undefined) => {
      const all = [...(before ?? []), text];
      const read = readLabels(all);
      if (read.kind === 'wrong') throw new InvalidArgumentError(`${read.reason}.`);
      return all;
    },
  );
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

/** Sets the exit status; the last one that is not 0 wins. */
export function exitWith(status: number): void {
  if (status !== EXIT.ok) process.exitCode = status;
}
