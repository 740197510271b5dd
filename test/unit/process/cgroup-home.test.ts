/** Where an agent may make cgroups, from what /proc says: hybrid, systemd, users, containers. */
import { describe, expect, it } from 'vitest';
import {
  delegationProblem,
  findHome,
  parseOwner,
  type Ownership,
} from '#agent/process/cgroup/cgroup-home.ts';

const V2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';
const HYBRID =
  '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n' +
  '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n';
const SERVICE = '/system.slice/benchmesh.service';

describe('the home of cgroups', () => {
  it.each([
    ['the top of a hybrid mount', HYBRID, '8:pids:/\n0::/\n', '/sys/fs/cgroup/unified', null],
    ['a service', V2, `0::${SERVICE}\n`, `/sys/fs/cgroup${SERVICE}`, 'benchmesh.service'],
    [
      'the service, of an agent that systemd put into a subgroup',
      V2,
      `0::${SERVICE}/agent\n`,
      `/sys/fs/cgroup${SERVICE}`,
      'benchmesh.service',
    ],
    [
      'the service, of an agent that moved into its leaf',
      V2,
      `0::${SERVICE}/benchmesh.x/agent.7.8\n`,
      `/sys/fs/cgroup${SERVICE}`,
      'benchmesh.service',
    ],
    [
      'its step, of an agent that runs in one',
      V2,
      `0::${SERVICE}/benchmesh.x/step.7.8\n`,
      `/sys/fs/cgroup${SERVICE}/benchmesh.x/step.7.8`,
      null,
    ],
    ['a folder in a slice', V2, '0::/my.slice/bench\n', '/sys/fs/cgroup/my.slice/bench', null],
    [
      'what a container shows of it',
      '30 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
      '0::/docker/1/a\n',
      '/sys/fs/cgroup/a',
      null,
    ],
  ])('is %s', (...[, mountinfo, own, dir, unit]) => {
    expect(findHome(mountinfo, own)).toMatchObject({ kind: 'home', home: { dir, unit } });
  });

  it.each([
    ['no v2', HYBRID.split('\n')[0] ?? '', '0::/\n', 'no cgroup v2 is mounted here'],
    ['no line of it', V2, '8:pids:/\n', 'this process is in no cgroup v2'],
    ['a path outside of the namespace', V2, '0::/../a\n', 'does not show cgroup /../a'],
    [
      'a mount of another part',
      '30 23 0:26 /b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
      '0::/a\n',
      'the mount at /sys/fs/cgroup does not show cgroup /a',
    ],
  ])('is nowhere with %s', (_, mountinfo, own, reason) => {
    const found = findHome(mountinfo, own);
    expect(found.kind === 'none' && found.reason).toContain(reason);
  });
});

describe('a cgroup is delegated', () => {
  const unit = { dir: '/c/u.scope', unit: 'u.scope', isTop: false };
  const plain = { dir: '/c/own', unit: null, isTop: false };
  const top = { dir: '/c', unit: null, isTop: true };
  const root: Ownership = { uid: 0, owner: 0, ownerAbove: 0, isMarked: false };
  const user: Ownership = { uid: 7, owner: 7, ownerAbove: 0, isMarked: false };
  const undelegated = 'u.scope is a systemd unit without Delegate=yes';

  it.each([
    ['the top, to root', top, root, null],
    ['a plain folder, to root', plain, root, null],
    ['a unit, to root', unit, root, undelegated],
    ['a marked unit, to root', unit, { ...root, isMarked: true }, null],
    ['what is root’s, to a user', plain, { ...user, owner: 0 }, 'cgroup /c/own is not delegated'],
    ['the top, to a user', top, { ...user, owner: 0 }, 'cgroup /c is not delegated'],
    ['a folder of its own', plain, user, null],
    ['a unit that was given to a user', unit, user, null],
    ['a unit of the user’s own systemd', unit, { ...user, ownerAbove: 7 }, undelegated],
    ['a marked one', unit, { ...user, ownerAbove: 7, isMarked: true }, null],
  ])('%s', (_, home, ownership, problem) => {
    const found = delegationProblem(home, ownership);
    if (problem === null) expect(found).toBeNull();
    else expect(found).toContain(problem);
  });
});

it.each([
  ['step.12.345', { kind: 'step', pid: 12, startTime: 345 }],
  ['agent.1.2', { kind: 'agent', pid: 1, startTime: 2 }],
  ['step.12', null],
  ['step.-1.2', null],
  ['xstep.1.2', null],
  ['step.1.2.3', null],
])('%s names its owner', (name, owner) => {
  expect(parseOwner(name)).toEqual(owner);
});
