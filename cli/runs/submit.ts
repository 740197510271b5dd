/**
 * Submitting: the id is made here, so that a submit repeated after a time-out is the same run and
 * never a second one.
 */
import { SubmitReply, type SubmitRequest } from '#protocol/messages/run/api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { newRunId } from '#protocol/messages/ids.ts';
import { pause, type MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';
import { mostTasks } from '#protocol/suite/expand.ts';

export interface Submission extends Omit<SubmitRequest, 'run'> {
  /** Given by the user: then a run of this id is taken for this one. */
  readonly run: string | null;
}

/** The first is as long as a coordinator that was killed takes to be replaced: it does not answer any more. */
const FIRST_CALL_MS = 4_000;
const CALL_MS = 10_000;
const PATIENCE_MS = 30_000;
/** On top of each, for every task: a coordinator takes in 1,000,000 in 10 to 20 s, and answers nobody meanwhile. */
const TASK_MS = 0.05;

export async function submit(
  connection: MeshConnection,
  submission: Submission,
): Promise<SubmitReply> {
  for (;;) {
    const run = submission.run ?? newRunId(new Date());
    const { reply, calls } = await untilAnswered(connection, { ...submission, run });
    // Somebody else drew the same id in the same second: nothing of ours was stored under it.
    if (!reply.created && submission.run === null && calls === 1) continue;
    return reply;
  }
}

async function untilAnswered(
  connection: MeshConnection,
  request: SubmitRequest,
): Promise<{ reply: SubmitReply; calls: number }> {
  const takingInMs = mostTasks(request.suite) * TASK_MS;
  const deadline = performance.now() + PATIENCE_MS + takingInMs;
  for (let calls = 1; ; calls += 1) {
    try {
      const patienceMs = (calls === 1 ? FIRST_CALL_MS : CALL_MS) + takingInMs;
      const answer = SubmitReply.safeParse(await call(connection, 'submit', request, patienceMs));
      if (!answer.success)
        throw new MeshError('protocol', 'the coordinator answered submit with something else');
      return { reply: answer.data, calls };
    } catch (error) {
      if (!isTransient(error) || performance.now() > deadline) throw error;
      await connection.whenConnected();
      await pause(250);
    }
  }
}

/** No answer, rather than a refusal. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof MeshError)) return false;
  return ['timed_out', 'mesh_unreachable', 'no_coordinator'].includes(error.code);
}
