/** `benchmesh resume RUN[/TASK]`: what was paused goes on, each from its checkpoint; what has ended as a new run. */
import type { Command } from 'commander';
import { ResumeReply, type ResumeRequest } from '#protocol/messages/run/api.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { operator } from '../mesh/home.ts';
import { plural } from '../output/format.ts';
import { terminal } from '../output/terminal.ts';
import { askCoordinator } from '../runs/ask-coordinator.ts';
import { readRun, withRun, type FoundRun } from '../runs/find-run.ts';
import { matchTask, parseTarget } from '../runs/match.ts';
import { selectTasks, submitAgain } from '../runs/retry-run.ts';
import { ensureMesh } from '../runs/start-run.ts';

interface ResumeFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run[/task]>', 'id, a unique part of it, or latest')));
  command.addHelpText(
    'after',
    `
Of a run everything that is paused of it goes on, also tasks that were paused by themselves; of a task
only this one, also where its run is paused. The next attempt counts as no retry. Of a run that has
ended, stopped or not, a new run has what did not pass, as benchmesh retry: the work begins anew. Ends
with 1 if it is not paused, 9 if it had ended and nothing is left of it.`,
  );
  withExamples(command, ['benchmesh resume latest', 'benchmesh resume k3f9/d2xq']);
  command.action(async (text: string, flags: ResumeFlags) => {
    const target = parseTarget(text);
    if (target.n !== null)
      throw new MeshError(
        'usage',
        'a task is resumed, not one attempt of it: leave out the number',
      );
    const over = await withRun(flags, target.run, (found) => resume(found, target.task, flags));
    if (over !== null) await goOn(over, flags);
  });
}

interface Over {
  readonly fold: RunFold;
  readonly task: string | null;
  readonly name: string;
}

/** Null where it was paused; else what has ended. */
async function resume(
  found: FoundRun,
  taskText: string | null,
  flags: ResumeFlags,
): Promise<Over | null> {
  const { run } = found;
  const fold = await readRun(found);
  const task = taskText === null ? null : matchTask(taskText, fold.tasks.keys());
  const name = task === null ? `run ${run}` : `task ${run}/${task}`;
  if (found.kind === 'archived' || fold.state === 'ended') return { fold, task, name };
  const reply = await ask(found.mesh.connection, { run, task, by: operator() });
  if (flags.json === true) terminal.printJson('resume', reply);
  else terminal.print(`${name} is resumed: ${plural(reply.waiting, 'task')} may start again`);
  return null;
}

async function goOn({ fold, task, name }: Over, flags: ResumeFlags): Promise<void> {
  const tasks = selectTasks(fold.tasks.values(), { failed: false, classes: [], task });
  if (tasks.length === 0)
    throw new MeshError('already_ended', `${name} has ended already, and nothing is left of it`);
  const mesh = await ensureMesh(flags);
  try {
    const { run } = await submitAgain(mesh.connection, fold, tasks);
    const waiting = tasks.length;
    if (flags.json === true)
      terminal.printJson('resume', { run: fold.run, task, waiting, as: run });
    else
      terminal.print(
        `${name} has ended: ${plural(waiting, 'task')} that did not pass run again as run ${run}`,
      );
  } finally {
    await mesh.close();
  }
}

/** The first call may have been heard where nobody answered, and then it is not paused any more. */
function ask(connection: MeshConnection, request: ResumeRequest): Promise<ResumeReply> {
  return askCoordinator(connection, {
    verb: 'resume',
    request,
    parse: (reply) => ResumeReply.parse(reply),
    onRepeatRefused: ({ code }) => (code === 'not_paused' ? { ...request, waiting: 0 } : null),
  });
}
