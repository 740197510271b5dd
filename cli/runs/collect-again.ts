/** Has an agent take the result files of one of its attempts once more, and waits until that is told. */
import type { AttemptFold } from '#protocol/fold/attempt-fold.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { CollectReply } from '#protocol/messages/agent/agent-api.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { attemptName, newId, type AttemptRef } from '#protocol/messages/ids.ts';
import { pause } from '#protocol/nats/connection.ts';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { operator } from '../mesh/home.ts';
import { isThere } from './archive.ts';
import { askAgent } from './ask-agent.ts';
import { attemptOf, type Asked } from './find-attempt.ts';
import { readRun, type FoundRun } from './find-run.ts';
import type { Target } from './match.ts';

type Done = Extract<CollectReply, { state: 'done' }>;

export interface CollectedAgain extends Pick<Done, 'lost' | 'unfit'> {
  readonly id: string;
  readonly ref: AttemptRef;
  /** With what was collected. */
  readonly attempt: AttemptFold;
}

/** The agent has answered: its event is on the way. */
const TOLD_WITHIN_MS = 10_000;
const AGAIN_MS = 200;

/** Rejects with `already_ended`, `not_found`, `agent_unreachable`, or what the agent answers. */
export async function collectAgain(
  found: FoundRun,
  target: Target,
  onProgress: (files: number) => void,
): Promise<CollectedAgain> {
  const fold = await readRun(found);
  const { ref, attempt } = attemptOf(fold, target);
  if (found.kind === 'archived' || fold.state === 'ended')
    throw await endedAlready(found, fold, ref);
  const { files, fileRules } = specOf(fold, ref);
  if (files.length === 0) {
    const { name } = fold.submitted?.suite ?? {};
    throw new MeshError('usage', `suite ${name ?? ''} has no files to collect`);
  }
  const id = newId();
  const body = { ...ref, id, by: operator(), files, ...(fileRules && { fileRules }) };
  const question = { agent: attempt.agent, verb: 'collect', body };
  for (;;) {
    const reply = CollectReply.parse(await askAgent(found.mesh.connection, question));
    if (reply.state === 'running') {
      onProgress(reply.files);
      continue;
    }
    const { lost, unfit } = reply;
    return { id, ...(await told(found, ref, id)), lost, unfit };
  }
}

function specOf(fold: RunFold, { run, task: id, n }: AttemptRef): AttemptSpec {
  const suite = fold.submitted?.suite;
  const task = suite === undefined ? undefined : expandTasks(suite).find((one) => one.id === id);
  if (suite === undefined || task === undefined)
    throw new MeshError('protocol', `run ${run} has no task ${id}`);
  return attemptSpec(suite, { run, task, n });
}

/** The attempt with the collection in it: what comes after the end of the run is no part of it. */
async function told(found: FoundRun, ref: AttemptRef, id: string): Promise<Asked> {
  const until = performance.now() + TOLD_WITHIN_MS;
  for (;;) {
    const fold = await readRun(found);
    const asked = attemptOf(fold, { ...ref, run: fold.run });
    const { collected } = asked.attempt;
    if (collected?.id === id && collected.isDone) return asked;
    if (fold.state === 'ended') throw await endedAlready(found, fold, ref);
    if (performance.now() > until) {
      const { agent } = asked.attempt;
      throw new MeshError('timed_out', `agent ${agent} has the files, and cannot store that now`);
    }
    await pause(AGAIN_MS);
  }
}

async function endedAlready(found: FoundRun, fold: RunFold, ref: AttemptRef): Promise<MeshError> {
  const { run } = ref;
  const directory = found.kind === 'archived' ? found.directory : fold.archived;
  const files = `${directory ?? ''}/files/${ref.task}/${attemptName(ref)}`;
  let where = `nothing was kept of the files of ${ref.task}/${attemptName(ref)}`;
  if (directory === null) where = 'its directory is being made';
  else if (await isThere(files)) where = `what was kept of its files is in ${files}`;
  return new MeshError('already_ended', `run ${run} has ended: ${where}`);
}
