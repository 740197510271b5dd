/** What a live run has in BM_FILES: what its tasks may resume from, what is in use, all of it. Pure. */
import { everyoneOf, rankIn, ranksIn } from '#protocol/fold/gang-fold.ts';
import { resumePoints } from '#protocol/fold/resume-points.ts';
import { storedOf } from '#protocol/fold/task-attempts.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import type { ResumePoint } from '#protocol/messages/attempt/checkpoint.ts';
import type { RunEntry, StoredObject, TaskEntry } from './run-state.ts';

export function keyOf({ agent, sha256 }: StoredObject): string {
  return `${agent}/${sha256}`;
}

/** What the task's attempt that is to begin, or that rank of it, begins with, newest first. */
export function resumeOf(
  run: RunEntry,
  task: TaskEntry,
  rank: number | null = null,
): ResumePoint[] {
  const fold = run.fold.tasks.get(task.id);
  const attempts = fold === undefined ? [] : storedOf(fold);
  const keep = run.suite.checkpointRules?.keep;
  if (rank === null) return resumePoints(attempts.slice(0, task.n - 1), keep);
  // Of this one there may be a rank before it, on a host that is lost.
  return resumePoints(rankIn(attempts.slice(0, task.n), rank), keep);
}

export function checkpointObjects(run: RunEntry, task: TaskFold | undefined): StoredObject[] {
  const keep = run.suite.checkpointRules?.keep;
  return ranksIn(task === undefined ? [] : storedOf(task)).flatMap((attempts) =>
    resumePoints(attempts, keep).flatMap(({ agent, files }) =>
      files.map(({ sha256 }) => ({ agent, sha256 })),
    ),
  );
}

/** Objects that something still refers to: two tasks may have stored the same. */
export function usedObjects(run: RunEntry): Map<string, StoredObject> {
  const used = new Map<string, StoredObject>();
  for (const task of run.fold.tasks.values()) {
    for (const { agent, files } of storedOf(task).flatMap((one) => (one ? everyoneOf(one) : []))) {
      for (const { sha256 } of files) used.set(keyOf({ agent, sha256 }), { agent, sha256 });
    }
    for (const object of checkpointObjects(run, task)) used.set(keyOf(object), object);
  }
  return used;
}

/** Objects that its attempts stored: they are the run's alone. */
export function storedObjects(run: RunEntry): StoredObject[] {
  const all = new Map<string, StoredObject>();
  for (const { agent, sha256 } of run.replaced.values())
    all.set(keyOf({ agent, sha256 }), { agent, sha256 });
  for (const [key, object] of usedObjects(run)) all.set(key, object);
  return [...all.values()];
}
