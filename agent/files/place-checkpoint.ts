/**
 * Puts the task's last checkpoint into the work folder of a new attempt, before its first step: from
 * this host's own copies, else from BM_FILES, whichever agent stored it; always checked against its
 * hash. Where the newest cannot be had whole, the one before it counts.
 */
import { copyFile, mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { AttemptResumed, ResumePoint } from '#protocol/messages/attempt/checkpoint.ts';
import { toError } from '#protocol/messages/errors.ts';
import { newId } from '#protocol/messages/ids.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { LastMessage } from '#protocol/nats/streams/stream-read.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import { attemptPaths, type AttemptPaths } from '../state/state-folder.ts';
import { findObject, writeObject } from './local-objects.ts';
import { pathWithin } from './work-path.ts';

/** How long a mesh that does not answer is asked again before the attempt begins without. */
const FETCH_FOR_MS = 60_000;
const RETRY_MS = 250;

export interface FileSource {
  /** The chunk on a subject of BM_FILES. Never rejects. */
  read(subject: string): Promise<LastMessage>;
}

export interface PlaceRequest {
  readonly spec: AttemptSpec;
  readonly stateDir: string;
  readonly source: FileSource;
  readonly clock: Clock;
  /** The attempt is to be stopped: nothing is worth waiting for. */
  readonly isCancelled: () => boolean;
}

export type Placed = Omit<AttemptResumed, 'elapsedMs'>;

/** Never rejects: an attempt that cannot have its checkpoint begins anew, and says so. */
export async function placeCheckpoint(request: PlaceRequest): Promise<Placed> {
  const { spec, stateDir } = request;
  const paths = attemptPaths(stateDir, spec);
  const problems: string[] = [];
  for (const point of spec.resume ?? []) {
    try {
      await place(request, paths, point);
      const bytes = point.files.reduce((sum, file) => sum + file.bytes, 0);
      return {
        from: { n: point.n, number: point.number },
        path: point.files.at(-1)?.path ?? null,
        files: point.files.length,
        bytes,
        problem: problems.length === 0 ? null : problems.join('; '),
      };
    } catch (error) {
      const which = `checkpoint ${point.number} of attempt ${point.n}`;
      problems.push(`${which}: ${toError(error).message}`);
    }
  }
  return { from: null, path: null, files: 0, bytes: 0, problem: problems.join('; ') };
}

async function place(
  request: PlaceRequest,
  paths: AttemptPaths,
  point: ResumePoint,
): Promise<void> {
  const targets = point.files.map((file) => ({ file, target: pathWithin(paths.work, file.path) }));
  const copies: { readonly from: string; readonly to: string }[] = [];
  for (const { file, target } of targets) {
    if (target === null) throw new Error(`${file.path} leads out of the work folder`);
    copies.push({ from: await objectOf(request, paths, { point, file }), to: target });
  }
  // In their order, so that the last is the newest here too.
  for (const { from, to } of copies) {
    const part = join(paths.checkpoint, `${newId()}.part`);
    await mkdir(dirname(to), { recursive: true });
    await copyFile(from, part);
    await rename(part, to);
  }
}

interface Wanted {
  readonly point: ResumePoint;
  readonly file: StoredFile;
}

/** A file of this host that holds the object. */
async function objectOf(
  request: PlaceRequest,
  paths: AttemptPaths,
  { point, file }: Wanted,
): Promise<string> {
  const { spec, stateDir } = request;
  const mine = attemptPaths(stateDir, { ...spec, n: point.n }).checkpoint;
  for (const dir of [paths.checkpoint, mine]) {
    const found = await findObject(dir, file.sha256);
    if (found === null) continue;
    await mkdir(paths.checkpoint, { recursive: true });
    return found;
  }
  const object = await writeObject(paths.checkpoint, fetched(request, { point, file }));
  if (object.sha256 !== file.sha256) throw new Error(`${file.path} does not match its hash`);
  return object.file;
}

async function* fetched(
  { spec, source, clock, isCancelled }: PlaceRequest,
  { point, file }: Wanted,
): AsyncGenerator<Uint8Array> {
  const untilMs = clock.now().monotonicMs + FETCH_FOR_MS;
  const object = { run: spec.run, sha256: file.sha256 };
  for (let chunk = 0; chunk < file.chunks; chunk += 1) {
    const subject = subjects.file(point.agent, object, chunk);
    let found = await source.read(subject);
    while (found.kind === 'unknown') {
      if (isCancelled()) throw new Error('the attempt is being stopped');
      if (clock.now().monotonicMs > untilMs) throw new Error(`${file.path}: ${found.reason}`);
      await new Promise<void>((resolve) => {
        clock.after(RETRY_MS, resolve);
      });
      found = await source.read(subject);
    }
    if (found.kind === 'none') throw new Error(`${file.path} is not stored any more`);
    yield found.message.data;
  }
}
