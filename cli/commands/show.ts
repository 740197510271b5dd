/** `benchmesh show RUN`: one run, folded here from its log or its directory. */
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { runView, type RunView } from '#protocol/fold/run-view.ts';
import { taskView, taskViews, type TaskView } from '#protocol/fold/task-view.ts';
import { attemptViews, type AttemptView } from '#protocol/fold/attempt-view.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { openIfAny, type OpenMesh } from '../mesh/find-mesh.ts';
import { currentLines, failureLines, runLines } from '../output/run-text.ts';
import { taskLines } from '../output/task-text.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun, type FoundRun } from '../runs/find-run.ts';
import { matchTask, parseTarget } from '../runs/match.ts';
import { retriesOf } from '../runs/retry-run.ts';
import {
  hasCoordinator,
  NO_COORDINATOR,
  unreadStopLine,
  unreadStops,
} from '../runs/uncoordinated.ts';

interface ShowFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run[/task]>', 'id, a unique part of it, or latest')));
  command.addHelpText(
    'after',
    `
With --json the value carries the stream sequence it was folded at: at equal sequence everybody
gets the same bytes.`,
  );
  withExamples(command, ['benchmesh show latest', 'benchmesh show k3f9/d2xq --json']);
  command.action(async (text: string, flags: ShowFlags) => {
    const target = parseTarget(text);
    await withRun(flags, target.run, async (found) => {
      const fold = await readRun(found);
      if (target.task !== null) showTask(fold, matchTask(target.task, fold.tasks.keys()), flags);
      else await showRun(fold, found, flags);
      if (found.kind === 'live' && flags.json !== true) await sayUnrecorded(found.mesh, fold);
    });
  });
}

/** What `show RUN --json` prints, but for its frame. */
export function runValue(fold: RunFold): { sequence: number; run: RunView } {
  const run = runView(fold);
  if (run === null) throw new MeshError('not_found', `there is no run ${fold.run}`);
  return { sequence: fold.sequence, run };
}

/** What `show RUN/TASK --json` prints, but for its frame; `id` in full. */
export function taskValue(
  fold: RunFold,
  id: string,
): { sequence: number; task: TaskView; attempts: AttemptView[] } {
  const task = fold.tasks.get(id);
  if (task === undefined) throw new MeshError('not_found', `there is no task ${id}`);
  return { sequence: fold.sequence, task: taskView(fold, task), attempts: attemptViews(task) };
}

async function showRun(fold: RunFold, found: FoundRun, flags: ShowFlags): Promise<void> {
  const value = runValue(fold);
  if (flags.json === true) {
    terminal.printJson('run', value);
    return;
  }
  const { run } = value;
  const { style, width } = terminal;
  const directory = found.kind === 'archived' ? found.directory : null;
  terminal.printLines(runLines(run, { style, directory }));
  terminal.printLines(currentLines(run, { style, width }));
  terminal.printLines(failureLines(run.id, taskViews(fold), { style, limit: 10 }));
  for (const id of await laterRuns(found, flags)) terminal.print(`  retried as run ${id}`);
}

/** No part of the run's own view, which ends with it: looked for among the runs that came later. */
async function laterRuns(found: FoundRun, flags: ShowFlags): Promise<string[]> {
  const { run } = found;
  if (found.kind === 'live') {
    const { resultsDir, mesh } = found;
    return retriesOf(run, { connection: mesh.connection, resultsDir });
  }
  const resultsDir = dirname(found.directory);
  const mesh = await openIfAny(flags, 'show').catch((error: unknown) => {
    if (error instanceof MeshError) return null; // a finished run needs no mesh
    throw error;
  });
  try {
    return await retriesOf(run, { connection: mesh?.connection ?? null, resultsDir });
  } finally {
    await mesh?.close();
  }
}

/** The fold knows what is recorded; who asks after a stop without a coordinator asks after more. */
async function sayUnrecorded({ connection }: OpenMesh, fold: RunFold): Promise<void> {
  if (fold.state === 'ended' || (await hasCoordinator(connection))) return;
  for (const stop of await unreadStops(connection, fold)) terminal.note(unreadStopLine(stop));
  terminal.note(NO_COORDINATOR);
}

function showTask(fold: RunFold, id: string, flags: ShowFlags): void {
  const value = taskValue(fold, id);
  if (flags.json === true) {
    terminal.printJson('task', value);
    return;
  }
  terminal.printLines(taskLines(fold.run, value, terminal.style));
}
