/** `benchmesh pause RUN[/TASK]`: a stop that is not for ever; `benchmesh resume` goes on with it. */
import type { Command } from 'commander';
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
    .option('--reason <text>', 'recorded with the pause')
    .addOption(
      durationOption(
        '--wait <duration>',
        'how long to wait for the proof; default the grace and 60s',
      ),
    )
    .option('--no-wait', 'return as soon as the pause is stored');
  command.addHelpText(
    'after',
    `
What runs is told as by a stop (the stop signal, $BENCHMESH_STOP), has its grace, its checkpoint is
taken and its processes are proven gone. Nothing of it has ended or failed: it waits until benchmesh
resume, holding up no other run, and its next attempt finds the checkpoint in place. Ends as benchmesh stop does: 0 only when
every process is proven gone, 8 if that is open or unproven, 9 if the run or task had ended already.`,
  );
  withExamples(command, [
    'benchmesh pause latest --reason "the host is needed"',
    'benchmesh pause k3f9/d2xq --grace 2m',
  ]);
  command.action(async (text: string, flags: EndFlags) => {
    const target = parseTarget(text);
    if (target.n !== null)
      throw new MeshError('usage', 'a pause is of a run or a task, not of one attempt');
    const { task } = target;
    await withRun(flags, target.run, (found) => endTarget({ found, task, verb: 'pause' }, flags));
  });
}
