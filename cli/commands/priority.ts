/** `benchmesh priority RUN N`: a live run goes before others, or after them. */
import { InvalidArgumentError, type Command } from 'commander';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { terminal } from '../output/terminal.ts';
import { changeRun } from '../runs/change-run.ts';

interface PriorityFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  command
    .argument('<run>', 'id, a unique part of it, or latest')
    .argument('<priority>', 'whole number; higher first', (text) => {
      const value = Number(text);
      if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value))
        throw new InvalidArgumentError('It must be a whole number; higher first.');
      return value;
    });
  withMesh(withJson(command));
  command.addHelpText(
    'after',
    `
What the suite adds for some of its tasks is added to it. Attempts that agents have in hand go on, and
those that wait there keep their turn. It may be below 0. Ends with 9 if the run had ended already.`,
  );
  withExamples(command, ['benchmesh priority k3f9 10', 'benchmesh priority latest 0']);
  command.action(async (run: string, priority: number, flags: PriorityFlags) => {
    const reply = await changeRun(flags, run, { priority });
    if (flags.json === true) terminal.printJson('priority', reply);
    else terminal.print(`run ${reply.run} has priority ${reply.priority} (higher first)`);
  });
}
