/** A cgroup v2 subtree of a test's own, and what the kernel says of it: never what benchmesh says. */
import { chownSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupHome } from '#agent/process/cgroup/cgroup-home.ts';
import { until } from './until.ts';

/** Where cgroup v2 is mounted whole; null where it is not, or nothing may be made there. */
export const CGROUP_MOUNT = findMount();

/** Why tests of cgroups cannot run here; null if they can. */
export const NO_CGROUPS =
  process.getuid?.() !== 0 ? 'not root' : CGROUP_MOUNT === null ? 'no writable cgroup v2' : null;

/** Nobody's: owns no file, and no process on most machines. */
export const OTHER_UID = 65_534;

let count = 0;

function findMount(): string | null {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  for (const line of mounts) {
    const [, , , root, at = ''] = line.split(' ');
    if (root !== '/' || !line.includes(' - cgroup2 ')) continue;
    const probe = join(at, `bm-test-probe-${process.pid}`);
    try {
      mkdirSync(probe);
      rmdirSync(probe);
      return at;
    } catch {
      return null; // read-only, or another's
    }
  }
  return null;
}

export class CgroupSubtree {
  readonly dir: string;
  readonly home: CgroupHome;

  /** `uid`: delegated to that user. */
  constructor(uid?: number) {
    this.dir = join(CGROUP_MOUNT ?? '/', `bm-test-${process.pid}-${(count += 1)}`);
    mkdirSync(this.dir);
    if (uid !== undefined) {
      for (const name of ['', 'cgroup.procs', 'cgroup.subtree_control']) {
        chownSync(join(this.dir, name), uid, uid);
      }
    }
    this.home = { dir: this.dir, ownDir: this.dir, unit: null, isTop: false };
  }

  /** Words that start a program in it, as another user if one is named. */
  wrapper(uid?: number): string[] {
    const move = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const user = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`];
    return ['sh', '-c', move, this.dir, ...user, ...(uid === undefined ? [] : ['--clear-groups'])];
  }

  /** All cgroups below it, as paths from it. */
  names(): string[] {
    return below(this.dir);
  }

  /** Ends what is in it; the kernel removes a cgroup only once its last process is gone. */
  async dispose(): Promise<void> {
    const events = join(this.dir, 'cgroup.events');
    writeFileSync(join(this.dir, 'cgroup.kill'), '1');
    await until(() => readFileSync(events, 'utf8').includes('populated 0'), 'it to be empty');
    await until(() => {
      for (const name of this.names().toReversed()) rmdirSync(join(this.dir, name));
      rmdirSync(this.dir);
      return true;
    }, 'it to be removed');
  }
}

export function below(dir: string, at = ''): string[] {
  return readdirSync(join(dir, at), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [join(at, name), ...below(dir, join(at, name))]);
}

/** The cgroup a process is in, from the top of the mount. */
export function cgroupOf(pid: number): string {
  const [, path = ''] = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? [];
  return path;
}
