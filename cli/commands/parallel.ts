/** `benchmesh parallel RUN N`: how many tasks of a live run may be under way at once. */
import { InvalidArgumentError, type Command } from 'commander';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { plural } from '../output/format.ts';
import { terminal } from '../output/terminal.ts';
import { changeRun } from '../runs/change-run.ts';

interface ParallelFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  command
    .argument('<run>', 'id, a unique part of it, or latest')
    .argument('<limit>', 'at most so many tasks at once, or none', (text) => {
      if (text === 'none') return null;
      const value = Number(text);
      if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1)
        throw new InvalidArgumentError('It must be a whole number, at least 1, or none.');
      return value;
    });
  withMesh(withJson(command));
  command.addHelpText(
    'after',
    `
In place of maxParallel of the suite. What is under way goes on, also where that is more than the new
limit. Ends with 9 if the run had ended already.`,
  );
  withExamples(command, ['benchmesh parallel k3f9 4', 'benchmesh parallel latest none']);
  command.action(async (run: string, limit: number | null, flags: ParallelFlags) => {
    const { run: id, ...reply } = await changeRun(flags, run, { maxParallel: limit });
    if (flags.json === true) terminal.printJson('parallel', { run: id, ...reply });
    else if (reply.maxParallel === null) terminal.print(`run ${id} has no limit of its own`);
    else
      terminal.print(`run ${id} may have ${plural(reply.maxParallel, 'task')} under way at once`);
  });
}
