/** Every error is one line on stderr and an exit status from the table of codes. */
import { CommanderError } from 'commander';
import { errnoOf, EXIT, MeshError, toError } from '#protocol/messages/errors.ts';

export interface Report {
  /** Null where it has been said already. */
  readonly line: string | null;
  readonly exit: number;
}

export function reportOf(thrown: unknown, wantsStack: boolean): Report {
  if (thrown instanceof CommanderError) {
    // Commander has printed its own line, or the help that was asked for.
    return { line: null, exit: thrown.exitCode === 0 ? EXIT.ok : EXIT.usage };
  }
  const error = toError(thrown);
  const stack = wantsStack ? `\n${error.stack ?? ''}` : '';
  if (error instanceof MeshError) {
    return { line: `benchmesh: ${flat(error.message)}${stack}`, exit: error.exit };
  }
  if (errnoOf(error) === 'ENOSPC') {
    return {
      line: `benchmesh: the disk is full: ${flat(error.message)}${stack}`,
      exit: EXIT.failed,
    };
  }
  const advice = wantsStack
    ? ''
    : ' (a defect: BENCHMESH_DEBUG=1 shows where; `benchmesh doctor` names the logs)';
  return {
    line: `benchmesh: internal: ${flat(error.message)}${advice}${stack}`,
    exit: EXIT.failed,
  };
}

const flat = (message: string): string => message.replace(/\s*\n\s*/g, ' ');
