/** `benchmesh results RUN`: median and spread of every cell. */
import type { Command } from 'commander';
import { resultRows } from '#protocol/fold/results-fold.ts';
import { showsAutomatic } from '#protocol/fold/run-fold.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { resultsTable } from '../output/results-table.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun } from '../runs/find-run.ts';

interface ResultsFlags extends MeshFlags, JsonFlag {
  readonly partial?: boolean;
}

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run>', 'id, a unique part of it, or latest'))).option(
    '--partial',
    'count measurements of tasks that did not pass, too',
  );
  withExamples(command, ['benchmesh results latest', 'benchmesh results k3f9 --json']);
  command.action(async (text: string, flags: ResultsFlags) => {
    await withRun(flags, text, async (found) => {
      const fold = await readRun(found);
      const tasks = taskViews(fold);
      const partial = flags.partial === true;
      const automatic = showsAutomatic(fold);
      const directory = found.kind === 'archived' ? found.directory : null;
      if (flags.json === true) {
        const results = resultRows(tasks, { partial, automatic });
        terminal.printJson('results', {
          sequence: fold.sequence,
          run: fold.run,
          directory,
          results,
        });
        return;
      }
      const { style, width } = terminal;
      const lines = resultsTable(tasks, { style, width, partial, automatic });
      terminal.printLines(lines);
      if (lines.length === 0)
        terminal.note(
          `run ${fold.run} has no measurements${partial ? '' : ' of tasks that passed'}`,
        );
      if (directory !== null) terminal.note(`directory ${directory}`);
    });
  });
}
