/**
 * Where an agent may make cgroups: in the one it is in, if that was left to it. Pure.
 *
 * systemd is the only writer of the cgroups of its units, but for those it delegates
 * (`Delegate=yes`); an unprivileged user is the owner of what was delegated to it. The top of a mount
 * (a machine without systemd, a container with a cgroup namespace) is whoever's may write there.
 */
import { isShown, parseMounts, parseOwnCgroups } from './cgroup-mounts.ts';

export const BASE_PREFIX = 'benchmesh.';

export interface CgroupHome {
  /** A folder of the v2 mount. */
  readonly dir: string;
  /** Folder of the cgroup this process is in: it, or one below. */
  readonly ownDir: string;
  /** The name of the systemd unit that it is; null if it is none. */
  readonly unit: string | null;
  /** It is all that the mount shows. */
  readonly isTop: boolean;
}

export type FoundHome =
  | { readonly kind: 'home'; readonly home: CgroupHome }
  | { readonly kind: 'none'; readonly reason: string };

/** From the texts of /proc/self/mountinfo and /proc/self/cgroup. */
export function findHome(mountinfo: string, ownCgroups: string): FoundHome {
  const mount = parseMounts(mountinfo).find(({ type }) => type === 'cgroup2');
  if (mount === undefined) return none('no cgroup v2 is mounted here');
  const own = parseOwnCgroups(ownCgroups).get('');
  if (own === undefined) return none('this process is in no cgroup v2');
  if (!isShown(mount, own)) return none(`the mount at ${mount.at} does not show cgroup ${own}`);
  const base = mount.root === '/' ? '' : mount.root;
  const names = own
    .slice(base.length)
    .split('/')
    .filter((name) => name !== '');
  const dirOf = (parts: readonly string[]): string => [mount.at, ...parts].join('/');
  const at = names.slice(0, homeLength(names));
  const name = at.at(-1);
  const home = {
    dir: dirOf(at),
    ownDir: dirOf(names),
    unit: name !== undefined && isUnit(name) ? name : null,
    isTop: at.length === 0,
  };
  return { kind: 'home', home };
}

/**
 * An agent that was moved into its own leaf is at home two levels up; one that systemd started in a
 * subgroup of its unit (`DelegateSubgroup=`), one.
 */
function homeLength(names: readonly string[]): number {
  const [base, leaf] = names.slice(-2);
  if (base === undefined || leaf === undefined) return names.length;
  if (base.startsWith(BASE_PREFIX) && parseOwner(leaf)?.kind === 'agent') return names.length - 2;
  return isUnit(base) && !isUnit(leaf) && !base.endsWith('.slice')
    ? names.length - 1
    : names.length;
}

function isUnit(name: string): boolean {
  return /\.(service|scope|slice)$/.test(name);
}

function none(reason: string): FoundHome {
  return { kind: 'none', reason };
}

export interface Ownership {
  readonly uid: number;
  /** Who owns the home, and the folder above it. */
  readonly owner: number;
  readonly ownerAbove: number;
  /** The home carries systemd's mark of what is delegated. */
  readonly isMarked: boolean;
}

/** Why cgroups are not to be made there; null if they may. What the kernel allows a trial tells. */
export function delegationProblem(
  { dir, unit, isTop }: Pick<CgroupHome, 'dir' | 'unit' | 'isTop'>,
  { uid, owner, ownerAbove, isMarked }: Ownership,
): string | null {
  if (uid !== 0 && owner !== uid) return `cgroup ${dir} is not delegated to this user`;
  if (unit === null || isMarked || isTop) return null;
  // systemd before 251 lets only root read its mark, and gives a delegated unit to its user.
  if (uid !== 0 && ownerAbove !== uid) return null;
  return `${unit} is a systemd unit without Delegate=yes`;
}

/** Of which process a cgroup in the base is: its name says. */
export interface CgroupOwner {
  readonly kind: 'agent' | 'step';
  readonly pid: number;
  readonly startTime: number;
}

/**
 * Whether a path is that of a step's own cgroup, as meshruns of ours make them. Nothing else is ever
 * killed by its cgroup: the path may come from a record, which lies where the step can write.
 */
export function isStepCgroup(path: string): boolean {
  const names = path.split('/');
  const [base = '', name = ''] = names.slice(-2);
  const isPlain =
    names[0] === '' && names.slice(1).every((part) => !['', '.', '..'].includes(part));
  const hasOwner = base.startsWith(BASE_PREFIX) && base.length > BASE_PREFIX.length;
  return isPlain && hasOwner && parseOwner(name)?.kind === 'step';
}

export function parseOwner(name: string): CgroupOwner | null {
  const [, kind, pid, startTime] = /^(agent|step)\.(\d{1,10})\.(\d{1,16})$/.exec(name) ?? [];
  if (kind !== 'agent' && kind !== 'step') return null;
  return { kind, pid: Number(pid), startTime: Number(startTime) };
}
