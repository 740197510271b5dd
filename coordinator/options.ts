/** The coordinator's flags. */
import { parseArgs } from 'node:util';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import { isToken } from '#protocol/messages/ids.ts';
import { CORE_TIMING } from './core/core-state.ts';
import { CORDON_AFTER_MOST } from './fleet/failing-policy.ts';

export interface CoordinatorFlags {
  readonly id: string;
  readonly server: string;
  readonly credential: string | null;
  readonly results: string;
  readonly logFile: string | null;
  /** The local mesh this coordinator belongs to, if any. */
  readonly home: string | null;
  /** Ends the local mesh after this long without anything to do; null: never. */
  readonly idleExitMs: number | null;
  /** An archived run leaves the streams after so long; null: as soon as its watchers have read it. */
  readonly purgeAfterMs: number | null;
  /** So many different tasks that fail on a host in a row cordon it; 0: nothing does; null: as usual. */
  readonly cordonAfter: number | null;
}

export const USAGE =
  'coordinator --id ID --server URL [--credential FILE] --results DIR [--log-file FILE] [--purge-after SECONDS] [--cordon-after TASKS] [--home DIR] [--idle-exit MS]';

/** Throws MeshError `usage`. */
export function parseFlags(argv: readonly string[]): CoordinatorFlags {
  const { id, server, results, credential, home, ...rest } = read(argv);
  if (id === undefined || server === undefined || results === undefined) {
    throw new MeshError('usage', `--id, --server and --results are needed: ${USAGE}`);
  }
  if (!isToken(id))
    throw new MeshError('usage', `--id ${id}: letters, digits, _ and - only, at most 64`);
  const idle = rest['idle-exit'];
  const idleExitMs = idle === undefined ? null : Number(idle);
  if (idleExitMs !== null && !(Number.isFinite(idleExitMs) && idleExitMs > 0)) {
    throw new MeshError('usage', `--idle-exit ${idle ?? ''}: a number of milliseconds is needed`);
  }
  if (idleExitMs !== null && home === undefined) {
    throw new MeshError('usage', '--idle-exit ends a local mesh: it needs --home');
  }
  return {
    purgeAfterMs: purgeAfterMs(rest['purge-after']),
    cordonAfter: cordonAfter(rest['cordon-after']),
    id,
    server,
    results,
    credential: credential ?? null,
    logFile: rest['log-file'] ?? null,
    home: home ?? null,
    idleExitMs,
  };
}

/** Seconds, at least as long as whoever watches the end of a run needs to read it. */
function purgeAfterMs(text: string | undefined): number | null {
  if (text === undefined) return null;
  const leastMs = CORE_TIMING.purgeAfterMs;
  const ms = Number(text) * 1_000;
  if (text.trim() !== '' && Number.isFinite(ms) && ms >= leastMs) return ms;
  const least = `${leastMs / 1_000} or more`;
  throw new MeshError('usage', `--purge-after ${text}: a number of seconds is needed, ${least}`);
}

function cordonAfter(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d{1,3}$/.test(text) && Number(text) <= CORDON_AFTER_MOST) return Number(text);
  const wanted = `a whole number is needed, 0 (never) to ${CORDON_AFTER_MOST}`;
  throw new MeshError('usage', `--cordon-after ${text}: ${wanted}`);
}

function read(
  argv: readonly string[],
): Record<string, string | undefined> &
  Partial<Record<'id' | 'server' | 'results' | 'credential' | 'home', string>> {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      options: {
        id: text,
        server: text,
        credential: text,
        results: text,
        'log-file': text,
        home: text,
        'idle-exit': text,
        'purge-after': text,
        'cordon-after': text,
      },
    }).values;
  } catch (error) {
    throw new MeshError('usage', `${toError(error).message}: ${USAGE}`, error);
  }
}
