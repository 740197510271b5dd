/** `benchmesh retry RUN`: what did not pass, once more, as a run of its own. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { FailureClass } from '#protocol/messages/attempt/outcome.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun } from '../runs/find-run.ts';
import { matchTask, parseTarget } from '../runs/match.ts';
import { selectTasks, submitAgain } from '../runs/retry-run.ts';
import { attendSubmitted, ensureMesh } from '../runs/start-run.ts';

interface RetryFlags extends MeshFlags, JsonFlag {
  readonly failed?: boolean;
  readonly class: readonly string[];
  readonly detach?: boolean;
}

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run[/task]>', 'id, a unique part of it, or latest')))
    .option('--failed', 'only what failed, timed out, was lost or quarantined')
    .addOption(
      new Option('--class <class>', 'only failures of this class; repeatable')
        .argParser(readClass)
        .default([]),
    )
    .option('--detach', 'print the id of the new run and return');
  command.addHelpText(
    'after',
    `
What has ended stays ended: a new run of the same suite, as it was submitted, has only these tasks, under
the same ids, and show of either run names the other. It has the order of the run, and its priority and
limit as they were last. Without --failed it is all that has ended and did not pass, what somebody stopped
too; skipped tasks never. Of a run that has not ended: what has ended of it so far. Then as benchmesh run;
5 where there is nothing to retry.`,
  );
  withExamples(command, [
    'benchmesh retry latest --failed',
    'benchmesh retry k3f9 --failed --class oom --detach',
  ]);
  command.action(async (text: string, flags: RetryFlags) => {
    const { run, task: taskText, n } = parseTarget(text);
    if (n !== null)
      throw new MeshError(
        'usage',
        'a task is retried, not one attempt of it: leave out the number',
      );
    const fold = await withRun(flags, run, readRun);
    const task = taskText === null ? null : matchTask(taskText, fold.tasks.keys());
    const selection = { failed: flags.failed === true, classes: flags.class, task };
    const tasks = selectTasks(fold.tasks.values(), selection);
    if (tasks.length === 0)
      throw new MeshError('not_found', `nothing of run ${fold.run} is to be retried${why(flags)}`);
    const mesh = await ensureMesh(flags);
    try {
      const reply = await submitAgain(mesh.connection, fold, tasks);
      if (reply.behind.length > 0) terminal.note(`queued behind ${reply.behind.join(', ')}`);
      await attendSubmitted(mesh, reply, flags);
    } finally {
      await mesh.close();
    }
  });
}

function why({ failed, class: classes }: RetryFlags): string {
  const what = failed === true ? 'failed' : 'did not pass';
  const of = classes.length === 0 ? '' : ` with class ${classes.join(' or ')}`;
  return `: no task that has ended ${what}${of}`;
}

function readClass(text: string, before: readonly string[]): string[] {
  if (!FailureClass.safeParse(text).success)
    throw new InvalidArgumentError(`It must be one of ${FailureClass.options.join(', ')}.`);
  return [...before, text];
}
