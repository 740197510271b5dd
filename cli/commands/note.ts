/** `benchmesh note RUN[/TASK] TEXT`: somebody's words, recorded with the run. */
import type { Command } from 'commander';
import { MeshError } from '#protocol/messages/errors.ts';
import { newId } from '#protocol/messages/ids.ts';
import { NoteReply, type NoteRequest } from '#protocol/messages/run/api.ts';
import { NOTE_LENGTH_MOST } from '#protocol/messages/run/run.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { operator } from '../mesh/home.ts';
import { terminal } from '../output/terminal.ts';
import { askCoordinator } from '../runs/ask-coordinator.ts';
import { readRun, withRun, type FoundRun } from '../runs/find-run.ts';
import { matchTask, parseTarget } from '../runs/match.ts';

interface NoteFlags extends MeshFlags, JsonFlag {}

export function build(command: Command): void {
  withMesh(
    withJson(command.argument('<run[/task]>', 'id, a unique part of it, or latest')),
  ).argument('<text>', `what to record, at most ${NOTE_LENGTH_MOST} characters`);
  command.addHelpText(
    'after',
    `
Kept in the log and in the run's directory, with who wrote it and when; show and events print it. Of a
run that has not ended: what is recorded of one that has does not change, and it ends with 9.`,
  );
  withExamples(command, [
    'benchmesh note latest "new cooling since this morning"',
    'benchmesh note k3f9/d2xq "the fan of this host was loud"',
  ]);
  command.action(async (target: string, text: string, flags: NoteFlags) => {
    const { run, task, n } = parseTarget(target);
    if (n !== null)
      throw new MeshError('usage', 'a note is of a run or a task: leave out the number');
    if (text.trim() === '') throw new MeshError('usage', 'the note is empty');
    if (text.length > NOTE_LENGTH_MOST)
      throw new MeshError(
        'usage',
        `the note has ${text.length} characters, at most ${NOTE_LENGTH_MOST} are kept`,
      );
    await withRun(flags, run, (found) => note(found, { task, text }, flags));
  });
}

async function note(
  found: FoundRun,
  { task: taskText, text }: { readonly task: string | null; readonly text: string },
  flags: NoteFlags,
): Promise<void> {
  const { run } = found;
  const fold = await readRun(found);
  const task = taskText === null ? null : matchTask(taskText, fold.tasks.keys());
  if (found.kind === 'archived' || fold.state === 'ended')
    throw new MeshError(
      'already_ended',
      `run ${run} has ended: what is recorded of it does not change any more`,
    );
  const request: NoteRequest = { run, task, note: newId(), by: operator(), text };
  const reply = await askCoordinator(found.mesh.connection, {
    verb: 'note',
    request,
    parse: (answer) => NoteReply.parse(answer),
  });
  if (flags.json === true) terminal.printJson('note', reply);
  else terminal.print(`noted of ${task === null ? `run ${run}` : `task ${run}/${task}`}`);
}
