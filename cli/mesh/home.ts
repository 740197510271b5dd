/** `$BENCHMESH_HOME`: where the local mesh and the results of its runs live. */
import { homedir, hostname, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { MeshError } from '#protocol/messages/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** BENCHMESH_HOME, else XDG_STATE_HOME/benchmesh, else ~/.local/state/benchmesh. Absolute. */
export function homeDir(environment: Environment = process.env): string {
  const named = environment['BENCHMESH_HOME'] ?? '';
  if (named !== '') return resolve(named);
  const state = environment['XDG_STATE_HOME'] ?? '';
  if (state !== '') return join(resolve(state), 'benchmesh');
  const user = environment['HOME'] ?? homedir();
  if (user === '')
    throw new MeshError('config_invalid', 'no home folder is known: set BENCHMESH_HOME');
  return join(user, '.local', 'state', 'benchmesh');
}

/** --results, else BENCHMESH_RESULTS; null where neither says. Absolute. */
export function namedResultsDir(
  flag: string | undefined,
  environment: Environment = process.env,
): string | null {
  const named = flag ?? environment['BENCHMESH_RESULTS'] ?? '';
  return named === '' ? null : resolve(named);
}

/** `user@host` of who asks: recorded with runs and stops. */
export function operator(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A uid without an entry, as in containers.
    return process.env['USER'] ?? `uid-${process.getuid?.() ?? 0}`;
  }
}
