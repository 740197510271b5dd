/** `benchmesh stop RUN[/TASK]`: stop means dead (I5), and needs no coordinator (I6). */
import { Option, type Command } from 'commander';
import { MeshError } from '#protocol/messages/errors.ts';
import { durationOption, withExamples, withJson, withMesh } from '../command.ts';
import { withRun } from '../runs/find-run.ts';
import { parseTarget } from '../runs/match.ts';
import { endTarget, type EndFlags } from '../stop/end-target.ts';

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run[/task]>', 'id, a unique part of it, or latest')))
    .addOption(
      durationOption('--grace <duration>', "time between TERM and KILL; default the suite's"),
    )
    .addOption(new Option('--now', 'kill at once, no grace').conflicts('grace'))
    .option('--reason <text>', 'recorded with the stop')
    .addOption(
      durationOption(
        '--wait <duration>',
        'how long to wait for the proof; default the grace and 60s',
      ),
    )
    .option('--no-wait', 'return as soon as the stop is stored');
  command.addHelpText(
    'after',
    `
Ends with 0 only when every process is proven gone; 8 if the stop is still open, unproven or a
process cannot be killed; 9 if the run or task had ended already. Ctrl-C ends the waiting, not
the stop.`,
  );
  withExamples(command, [
    'benchmesh stop latest --reason "wrong branch"',
    'benchmesh stop k3f9/d2xq --now',
  ]);
  command.action(async (text: string, flags: EndFlags) => {
    const target = parseTarget(text);
    if (target.n !== null)
      throw new MeshError('usage', 'a stop is of a run or a task, not of one attempt');
    const { task } = target;
    await withRun(flags, target.run, (found) => endTarget({ found, task, verb: 'stop' }, flags));
  });
}
