/** What `progress` is made of: the run, and which agents there were. */
import {
  applyToPresence,
  createPresence,
  type PresenceFold,
} from '#protocol/fold/progress/presence-fold.ts';
import { progressView, type ProgressView } from '#protocol/fold/progress/progress-view.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { filters } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { readAll, tail, type Tail } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { archivedDirectory, readArchivedPresence } from './archive.ts';
import { readRun, type FoundRun } from './find-run.ts';
import { recordOf } from './record.ts';

/** What `progress --json` prints, but for its frame. */
export interface ProgressValue {
  /** Of the run's events. */
  readonly sequence: number;
  /** Of the events of hosts; null where the run's directory has none. */
  readonly fleetSequence: number | null;
  readonly progress: ProgressView;
}

export async function readProgress(found: FoundRun): Promise<ProgressValue> {
  const fold = await readRun(found);
  return progressValue(fold, await presenceFor(found));
}

/** Of the run's directory once that is there, as its fold is. */
export async function presenceFor(found: FoundRun): Promise<PresenceFold | null> {
  if (found.kind === 'archived') return await readArchivedPresence(found.directory);
  const directory = await archivedDirectory(found.resultsDir, found.run);
  if (directory !== null) return await readArchivedPresence(directory);
  const presence = createPresence();
  await readAll(found.mesh.connection, FLEET, (message) => {
    const record = recordOf(message);
    if (record !== null) applyToPresence(presence, record);
  });
  return presence;
}

const FLEET = { stream: STREAMS.events, filters: filters.fleet() };

/** Folds on and on until closed. */
export function followPresence(connection: MeshConnection, presence: PresenceFold): Tail {
  return tail(connection, {
    ...FLEET,
    onMessage: (message) => {
      const record = recordOf(message);
      if (record !== null) applyToPresence(presence, record);
    },
  });
}

export function progressValue(fold: RunFold, presence: PresenceFold | null): ProgressValue {
  const progress = progressView(fold, presence);
  if (progress === null) throw new MeshError('not_found', `there is no run ${fold.run}`);
  return { sequence: fold.sequence, fleetSequence: presence?.fleet.sequence ?? null, progress };
}
