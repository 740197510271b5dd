/** Notes: people's words, stored with the run while it has not ended; its directory then has them. */
import { NOTES_MOST } from '#protocol/messages/run/run.ts';
import type { NoteRequest } from '#protocol/messages/run/api.ts';
import type { ErrorCode } from '#protocol/messages/errors.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { RunEntry } from '../runs/run-state.ts';
import { publish, type Context, type Note } from './core-state.ts';

/** Answered when the note has come back stored, or at once with why it is not taken. */
export function onNote(context: Context, { token, request }: Note): void {
  const { state, effects } = context;
  const { run: id, note, task, by, text } = request;
  const run = state.runs.get(id);
  const reply = { run: id, task, note };
  if (run?.fold.notes.some((known) => known.note === note) === true) {
    effects.push({ kind: 'reply', token, reply: { kind: 'ok', reply } });
    return;
  }
  const refusal = refusalOf(run, request);
  if (refusal !== null) {
    effects.push({ kind: 'reply', token, reply: { kind: 'error', ...refusal } });
    return;
  }
  const data = { note, task, by, text };
  const stored = publish(context, { subject: subjects.run(id), name: 'run.noted', data });
  state.owed.set(stored, { token, reply });
}

/** What is said after the end is no part of the run: its view, and its directory, end with it. */
function refusalOf(
  run: RunEntry | undefined,
  { run: id, task }: NoteRequest,
): { readonly code: ErrorCode; readonly message: string } | null {
  if (run === undefined) return { code: 'not_found', message: `run ${id} is not live` };
  if (run.ended !== 'no')
    return {
      code: 'already_ended',
      message: `run ${id} has ended: what is recorded of it does not change any more`,
    };
  if (task !== null && !run.tasks.has(task))
    return { code: 'not_found', message: `there is no task ${id}/${task}` };
  if (run.fold.notes.length >= NOTES_MOST)
    return { code: 'usage', message: `run ${id} has ${NOTES_MOST} notes: it takes no more` };
  return null;
}
