/** A note is stored once, answered when it is stored, and never comes after the end of its run. */
import { expect, it } from 'vitest';
import { applyToRun, createRunFold } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { NOTES_MOST } from '#protocol/messages/run/run.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';

function meshOf(): Miniature {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(RUN, { axes: { item: [1, 2] } });
  flow(mesh);
  return mesh;
}

/** What is stored is read; the agents do nothing. */
function flow(mesh: Miniature): void {
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
}

const tasksOf = (mesh: Miniature): string[] => [...(mesh.core.runs.get(RUN)?.tasks.keys() ?? [])];

it('is answered when it is stored, and a request repeated is one note', () => {
  const mesh = meshOf();
  const task = tasksOf(mesh)[1] ?? '';
  const first = mesh.note(RUN, 'n1', task);
  expect(mesh.replies.get(first)).toBeUndefined();
  const again = mesh.note(RUN, 'n1', task); // before the first is stored
  flow(mesh);
  const late = mesh.note(RUN, 'n1', task);
  const ok = { kind: 'ok', reply: { run: RUN, task, note: 'n1' } };
  expect([first, again, late].map((token) => mesh.replies.get(token))).toEqual([ok, ok, ok]);

  const fold = createRunFold(RUN);
  for (const record of mesh.events) applyToRun(fold, record);
  const noted = [{ time: expect.any(String) as string, task, by: 'u@h', text: 'loud' }];
  expect(runView(fold)?.notes).toEqual(noted);
  expect(taskViews(fold).map(({ notes }) => notes)).toEqual([[], noted]);
});

it('is refused of what is not there, when there are too many, and of what has ended', () => {
  const mesh = meshOf();
  const codeOf = (token: number): string | null => {
    const answer = mesh.replies.get(token);
    return answer?.kind === 'error' ? answer.code : null;
  };
  expect(codeOf(mesh.note('2026-02-13_14-30-45-zzzz', 'n1'))).toBe('not_found');
  expect(codeOf(mesh.note(RUN, 'n1', 'nothing'))).toBe('not_found');
  for (let at = 0; at < NOTES_MOST; at += 1) {
    mesh.note(RUN, `m${at}`);
    flow(mesh);
  }
  expect(codeOf(mesh.note(RUN, 'n2'))).toBe('usage');
  mesh.settle();
  const { notes, state } = mesh.core.runs.get(RUN)?.fold ?? {};
  expect([notes?.length, state]).toEqual([NOTES_MOST, 'ended']);
  expect(codeOf(mesh.note(RUN, 'n3'))).toBe('already_ended');
});

it('that no stream takes is answered so', () => {
  const mesh = meshOf();
  const token = mesh.note(RUN, 'n1');
  const effect = mesh.outgoing.find(({ name }) => name === 'run.noted');
  if (effect === undefined) throw new Error('nothing was asked for');
  mesh.post({ kind: 'unstorable', effect, reason: 'too large' });
  expect(mesh.replies.get(token)).toMatchObject({
    kind: 'error',
    message: 'it cannot be stored (too large)',
  });
  expect(mesh.core.owed.size).toBe(0);
});
