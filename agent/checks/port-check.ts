/** Does something listen on a TCP port; or, where it must be free, does nothing? */
import { connect } from 'node:net';
import { errnoOf } from '#protocol/messages/errors.ts';
import type { CheckOf } from '#protocol/messages/attempt/check-spec.ts';
import { failed, PASSED, type CheckContext, type CheckResult } from './types.ts';

export async function checkPort(
  { host, port, free }: CheckOf<'port'>,
  { signal }: Pick<CheckContext, 'signal'>,
): Promise<CheckResult> {
  const found = await knock(host, port, signal);
  const place = `${host}:${port}`;
  if (free) {
    // Nobody is there only where the host itself has said so.
    if (found === 'ECONNREFUSED') return PASSED;
    if (found === null) return failed(`something listens on ${place}, it must be free`);
    return failed(`cannot tell whether ${place} is free (${found})`);
  }
  if (found === null) return PASSED;
  const why = found === 'ECONNREFUSED' ? '' : ` (${found})`;
  return failed(`nothing listens on ${place}${why}`);
}

/** Null when a connection came to be, else the error's name. */
function knock(host: string, port: number, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (found: string | null): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(found);
    };
    const onAbort = (): void => {
      end('ended');
    };
    socket.once('connect', () => {
      end(null);
    });
    // A name with several addresses fails with one error for all of them, of the same kind.
    socket.on('error', (error) => {
      end(errnoOf(error) ?? error.message);
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
