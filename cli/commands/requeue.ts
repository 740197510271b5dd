/** `benchmesh requeue RUN/TASK`: its attempt is ended and proven gone, and the next one follows elsewhere. */
import type { Command } from 'commander';
import { MeshError } from '#protocol/messages/errors.ts';
import { durationOption, withExamples, withJson, withMesh } from '../command.ts';
import { withRun } from '../runs/find-run.ts';
import { parseTarget } from '../runs/match.ts';
import { endTarget, type EndFlags } from '../stop/end-target.ts';

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run/task>', 'id, a unique part of it, or latest')))
    .addOption(
      durationOption('--grace <duration>', "time between TERM and KILL; default the suite's"),
    )
    .option('--now', 'kill at once, no grace')
    .option('--reason <text>', 'recorded with the requeue')
    .addOption(
      durationOption(
        '--wait <duration>',
        'how long to wait for the proof; default the grace and 60s',
      ),
    )
    .option('--no-wait', 'return as soon as the requeue is stored');
  command.addHelpText(
    'after',
    `
What runs of the task is ended as by a pause, with its checkpoint and its proof, and its next attempt
follows at once, uncounted: on another agent if one has room at that moment (benchmesh cordon keeps an
agent out of it). Where the agent is not heard, the task goes on elsewhere all the same; the agent ends
its attempt when it is back, and the run does not end before that. A task that is paused stays so until
benchmesh resume. Ends as benchmesh pause does: 0 only when every process is proven gone, 8 if that is
open or unproven, 9 if the task had ended already.`,
  );
  withExamples(command, [
    'benchmesh requeue k3f9/d2xq',
    'benchmesh requeue k3f9/d2xq --reason "that host is throttled"',
  ]);
  command.action(async (text: string, flags: EndFlags) => {
    const { run, task, n } = parseTarget(text);
    if (task === null) throw new MeshError('usage', `a task is requeued: write ${run}/TASK`);
    if (n !== null)
      throw new MeshError(
        'usage',
        'a task is requeued, not one attempt of it: leave out the number',
      );
    await withRun(flags, run, (found) => endTarget({ found, task, verb: 'requeue' }, flags));
  });
}
