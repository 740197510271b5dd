/** Where cgroups are mounted, and in which ones this process is. Pure but for the reading it is lent. */

/** The text of a file, or null. */
export type ReadText = (path: string) => string | null;

export interface Mount {
  /** Path within the hierarchy that is mounted here. */
  readonly root: string;
  readonly at: string;
  readonly type: 'cgroup' | 'cgroup2';
  readonly controllers: readonly string[];
}

const MOST_LEVELS = 64;
const CONTROLLERS = new Set(['cpu', 'cpuset', 'memory']);

/** mountinfo(5): `36 35 98:0 /root /mount/point options - type source super,options`. */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root, at] = left.split(' ');
    const [type, , options = ''] = right.split(' ');
    if (root === undefined || at === undefined) return [];
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const controllers = options.split(',').filter((option) => CONTROLLERS.has(option));
    return [{ root: unescape(root), at: unescape(at), type, controllers }];
  });
}

/** Spaces and the like are written in octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** cgroups(7): `4:memory:/path`, and `0::/path` for v2. By controller; v2 under ''. */
export function parseOwnCgroups(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) paths.set(controller, path);
  }
  return paths;
}

/**
 * The folders from a cgroup up to the top of the mount, its own first. In a container without a
 * cgroup namespace the mount shows only the part below its root. A path outside of that (`/..`) is
 * not to be seen: then the top of the mount is all there is.
 */
export function dirsUp({ root, at }: Mount, own: string): string[] {
  const names = isShown({ root }, own) ? namesBelow({ root }, own).slice(0, MOST_LEVELS) : [];
  const dirs: string[] = [];
  for (let length = names.length; length >= 0; length -= 1) {
    dirs.push([at, ...names.slice(0, length)].join('/'));
  }
  return dirs;
}

/** Whether the mount shows the cgroup. */
export function isShown({ root }: Pick<Mount, 'root'>, own: string): boolean {
  const base = root === '/' ? '' : root;
  const isInside = own === base || own.startsWith(`${base}/`);
  return isInside && !namesBelow({ root }, own).includes('..');
}

function namesBelow({ root }: Pick<Mount, 'root'>, own: string): string[] {
  const base = root === '/' ? '' : root;
  return own
    .slice(base.length)
    .split('/')
    .filter((part) => part !== '');
}
