/**
 * What the directory of a run has to hold beside its tables: logs, samples and files, found in one walk over
 * its attempts, because each look at one that is over makes it anew. The walk gives way now and then: it is made by
 * the leader, whose loop others wait for.
 */
import { setImmediate as giveWay } from 'node:timers/promises';
import { ranksIn } from '#protocol/fold/gang-fold.ts';
import { sinceOf } from '#protocol/fold/replaced-ranks.ts';
import { resumePoints } from '#protocol/fold/resume-points.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { attemptsOf } from '#protocol/fold/task-attempts.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import { attemptName } from '#protocol/messages/ids.ts';
import type { AttemptFile, MissingFile } from './collect-files.ts';
import type { ExpectedLog } from './collect-logs.ts';
import type { ExpectedSamples } from './collect-samples.ts';
import { membersIn, placeOf } from './tables.ts';

export interface Contents {
  readonly logs: ExpectedLog[];
  readonly samples: ExpectedSamples[];
  readonly files: AttemptFile[];
  /** What the agents themselves could not store. */
  readonly lost: MissingFile[];
}

/** Some milliseconds' work. */
const TASKS_AT_A_TIME = 250;

export async function contentsOf(fold: RunFold): Promise<Contents> {
  const contents: Contents = { logs: [], samples: [], files: [], lost: [] };
  let walked = 0;
  for (const task of fold.tasks.values()) {
    addTask(contents, fold.run, task);
    walked += 1;
    if (walked % TASKS_AT_A_TIME === 0) await giveWay();
  }
  return contents;
}

/**
 * Of a path that was stored several times, the last one; of the checkpoints of a task, or of each of its
 * ranks, the newest: it is all that a later run could begin with.
 */
function addTask({ logs, samples, files, lost }: Contents, run: string, task: TaskFold): void {
  const attempts = attemptsOf(task);
  const stored = new Map<string, AttemptFile>();
  const store = (one: AttemptFile): void => {
    stored.set(`${attemptName(one)}/${one.file.kind}/${one.file.path}`, one);
  };
  for (const { attempt, place } of membersIn(attempts)) {
    const { n, agent, exited } = attempt;
    const at = { task: task.id, n, agent, ...place };
    logs.push({ ...at, logBytes: exited?.logBytes ?? 0 });
    const { telemetry, report } = exited ?? {};
    // Without an end nobody knows how many there are; what there is has the name of its attempt.
    if (exited === null) samples.push({ of: 'attempts', ...at, samples: 0 });
    if (telemetry !== undefined)
      samples.push({ of: 'attempts', ...at, samples: telemetry.samples - telemetry.dropped });
    if (report !== undefined && report.samples > report.dropped)
      samples.push({ of: 'reported', ...at, samples: report.samples - report.dropped });
    for (const { path, reason } of attempt.filesLost)
      lost.push({ task: task.id, n, ...place, path, reason });
    for (const file of attempt.files) store({ run, ...at, file });
  }
  const isGang = attempts.some((one) => one?.gang !== undefined);
  ranksIn(attempts).forEach((own, rank) => {
    const [newest] = resumePoints(own);
    if (newest === undefined) return;
    const { n, agent } = newest;
    const whole = attempts[n - 1];
    const since = whole === undefined ? 0 : sinceOf(whole, agent);
    const at = { task: task.id, n, agent, ...(isGang ? placeOf(rank, since) : {}) };
    for (const file of newest.files) store({ run, ...at, file });
  });
  for (const file of stored.values()) files.push(file);
}
