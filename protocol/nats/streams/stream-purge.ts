/**
 * Removing what is over: the subjects of an archived run, the message of a closed stop. Idempotent.
 * Removals carry no expectation (the server knows none for them), so only what is stored as
 * finished is ever removed: a deposed leader can remove nothing that matters (I1).
 *
 * Never purge by a filter that equals or covers one of the several filters of a reader that lives:
 * the server (2.11.6, measured) moves such a reader's consumer on to the first message left on the
 * purged filter, past what its other filters had still to come, and nothing tells. A narrower purge
 * harms nobody.
 */
import { z } from 'zod';
import { MeshError } from '../../messages/errors.ts';
import type { MeshConnection } from '../connection.ts';

const TIMEOUT_MS = 30_000;
const NOT_FOUND = 404;
/** No message of that sequence: it is gone already. */
const NO_MESSAGE: ReadonlySet<number> = new Set([10037, 10057]);

const Answer = z.object({
  success: z.boolean().optional(),
  purged: z.number().optional(),
  error: z
    .object({
      code: z.number(),
      err_code: z.number().optional(),
      description: z.string().optional(),
    })
    .optional(),
});
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What is left. */
export type Rest =
  /** From this sequence on. */
  | { readonly seq: number }
  /** The last so many messages. */
  | { readonly keep: number };

/**
 * Removes every message of a stream on `filter` (wildcards allowed), but for `rest`. Resolves with
 * their number. Rejects with MeshError `mesh_unreachable`; repeat then.
 */
export async function purgeSubject(
  connection: MeshConnection,
  stream: string,
  filter: string,
  rest: Rest | null = null,
): Promise<number> {
  // The server takes the first sequence for none, and would remove everything.
  if (rest !== null && 'seq' in rest && rest.seq <= 1) return 0;
  const answer = await ask(connection, `$JS.API.STREAM.PURGE.${stream}`, { filter, ...rest });
  return answer.purged ?? 0;
}

/** Removes one message. Resolves also if it is gone already; rejects as `purgeSubject` does. */
export async function deleteMessage(
  connection: MeshConnection,
  stream: string,
  sequence: number,
): Promise<void> {
  const body = { seq: sequence, no_erase: true };
  await ask(connection, `$JS.API.STREAM.MSG.DELETE.${stream}`, body);
}

async function ask(
  connection: MeshConnection,
  subject: string,
  body: Readonly<Record<string, unknown>>,
): Promise<z.infer<typeof Answer>> {
  const data = encoder.encode(JSON.stringify(body));
  const outcome = await connection.request(subject, data, { timeoutMs: TIMEOUT_MS });
  if (outcome.kind !== 'reply') {
    throw new MeshError('mesh_unreachable', `${subject}: no answer (${outcome.kind})`);
  }
  const answer = Answer.parse(JSON.parse(decoder.decode(outcome.message.data)));
  const { error } = answer;
  if (error === undefined) return answer;
  if (error.code === NOT_FOUND || NO_MESSAGE.has(error.err_code ?? 0)) return {};
  throw new MeshError('mesh_unreachable', `${subject}: ${error.description ?? 'refused'}`);
}
