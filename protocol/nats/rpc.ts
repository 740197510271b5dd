/** Core request/reply on `bm.v1.api.<verb>`: not stored, only the leading coordinator serves. */
import { ERROR_CODES, MeshError, toError, type ErrorCode } from '../messages/errors.ts';
import { ApiError } from '../messages/run/api.ts';
import { subjects } from '../messages/subjects.ts';
import type { MeshConnection } from './connection.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What is served until stopped. */
export interface Serving {
  stop(): void;
}

/**
 * Answers requests to `verb` with what `handler` resolves with, as JSON. A MeshError it rejects
 * with reaches the caller with its code; anything else as `internal`, and is logged.
 */
export function serve(
  connection: MeshConnection,
  verb: string,
  handler: (body: unknown) => Promise<unknown>,
): Serving {
  const answer = async (data: Uint8Array): Promise<unknown> => {
    try {
      return { result: (await handler(parse(data))) ?? null };
    } catch (error) {
      if (error instanceof MeshError)
        return { error: { code: error.code, message: error.message } };
      connection.log.error({ verb, err: toError(error) }, 'a request failed');
      return { error: { code: 'internal', message: toError(error).message } };
    }
  };
  const subscription = connection.nats.subscribe(subjects.api(verb), {
    callback: (error, message) => {
      if (error !== null) {
        connection.log.error({ verb, err: error.message }, 'requests cannot be served');
        return;
      }
      void answer(message.data).then((reply) => {
        if (!connection.isClosed()) message.respond(encoder.encode(JSON.stringify(reply)));
      });
    },
  });
  return {
    stop: () => {
      subscription.unsubscribe();
    },
  };
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data));
  } catch (error) {
    throw new MeshError('protocol', 'the request is not JSON', error);
  }
}

/**
 * Asks the leading coordinator. Resolves with its answer, unchecked: parse it with the schema of
 * the verb. Rejects with its MeshError, or `no_coordinator`, `timed_out`, `mesh_unreachable`,
 * `not_permitted`.
 */
export async function call(
  connection: MeshConnection,
  verb: string,
  body: unknown,
  timeoutMs = 10_000,
): Promise<unknown> {
  const data = encoder.encode(JSON.stringify(body ?? null));
  const outcome = await connection.request(subjects.api(verb), data, { timeoutMs });
  switch (outcome.kind) {
    case 'reply':
      return unwrap(parse(outcome.message.data));
    case 'no_responders':
      throw new MeshError(
        'no_coordinator',
        `the server at ${connection.url} answers but no coordinator leads: start one with benchmesh up`,
      );
    case 'timeout':
      throw new MeshError(
        'timed_out',
        `the coordinator did not answer ${verb} within ${timeoutMs} ms`,
      );
    case 'disconnected':
      throw new MeshError(
        'mesh_unreachable',
        `the connection to ${connection.url} broke during ${verb}`,
      );
    case 'not_permitted':
      throw new MeshError('not_permitted', outcome.reason);
    case 'invalid':
      throw new MeshError('usage', `${verb}: ${outcome.reason}`);
  }
}

function unwrap(reply: unknown): unknown {
  const failed = ApiError.safeParse(reply);
  if (failed.success) {
    const { code, message } = failed.data.error;
    throw new MeshError(isErrorCode(code) ? code : 'internal', message);
  }
  if (typeof reply === 'object' && reply !== null && 'result' in reply) return reply.result;
  throw new MeshError('protocol', 'the answer is neither a result nor an error');
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
