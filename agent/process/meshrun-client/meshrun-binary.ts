/**
 * Finds the committed meshrun of this platform and checks that it is the one that was
 * committed: its sha256 must be in SHA256SUMS beside it. Checked once per process.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type BinaryCheck =
  | { readonly kind: 'usable'; readonly path: string }
  | { readonly kind: 'unusable'; readonly reason: string };

/** From the source tree, and from the bundle in dist/. */
const FOLDERS = ['../meshrun/bin/', '../agent/process/meshrun/bin/'];

/** `path`: a build other than the committed one; it needs a SHA256SUMS beside it all the same. */
export function findMeshrun(path?: string): BinaryCheck {
  if (process.platform !== 'linux') return unusable('meshrun runs on Linux only');
  const name = `meshrun-linux-${process.arch}`;
  const candidates =
    path === undefined
      ? FOLDERS.map((folder) => fileURLToPath(new URL(folder + name, import.meta.url)))
      : [path];
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found === undefined) return unusable(`there is no ${basename(path ?? name)}`);
  return check(found);
}

function check(path: string): BinaryCheck {
  const sums = join(dirname(path), 'SHA256SUMS');
  try {
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    const expected = readFileSync(sums, 'utf8')
      .split('\n')
      .find((line) => line.endsWith(`  ${basename(path)}`));
    if (expected?.split(' ')[0] !== digest) {
      return unusable(`${basename(path)} is not the committed build (sha256 ${digest})`);
    }
    accessSync(path, constants.X_OK);
    return { kind: 'usable', path };
  } catch (error) {
    return unusable(`${basename(path)} cannot be used: ${(error as Error).message}`);
  }
}

function unusable(reason: string): BinaryCheck {
  return { kind: 'unusable', reason };
}
