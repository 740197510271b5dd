/** A request to one agent, which answers itself: no coordinator is asked. */
import { MeshError } from '#protocol/messages/errors.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';

const ANSWER_MS = 10_000;

export interface Question {
  readonly agent: string;
  /** As in protocol/messages/agent/agent-api.ts. */
  readonly verb: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
}

/**
 * Resolves with the answer, unchecked. Rejects with the agent's own MeshError, or with
 * `agent_unreachable` where it is silent.
 */
export async function askAgent(connection: MeshConnection, question: Question): Promise<unknown> {
  const { agent, verb, body, timeoutMs = ANSWER_MS } = question;
  try {
    return await call(connection, `${agent}.${verb}`, body, timeoutMs);
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    const { code } = error;
    if (code !== 'no_coordinator' && code !== 'timed_out') throw error;
    const how =
      code === 'timed_out'
        ? `did not answer within ${timeoutMs / 1_000} s`
        : `does not answer ${verb}: it is not running, or older than this program`;
    throw new MeshError('agent_unreachable', `agent ${agent} ${how}`, error);
  }
}
