/**
 * What is read from a cgroup's files, and which controllers steps get, on folders that stand in for
 * cgroups: for what this machine's kernel does not have.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeControllers } from '#agent/process/cgroup/cgroup-controllers.ts';
import { isStepCgroup } from '#agent/process/cgroup/cgroup-home.ts';
import { endCgroup, oomKillsOf, stateOf } from '#agent/process/cgroup/cgroup-tree.ts';
import { closeLostStep, NO_END } from '#agent/process/meshrun-client/lost-step.ts';
import { bootId } from '#agent/process/scan/proc-table.ts';
import { parseRecord } from '#agent/process/record/step-record.ts';

const EVENTS = 'low 0\nhigh 0\nmax 31\noom 2\noom_kill 1\noom_group_kill 0\nsock_throttled 0\n';

const STEP = 'benchmesh.x/step.1.2';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bm-cgroup-files-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});
const folder = (name: string, files: Readonly<Record<string, string>>): string => {
  const path = join(dir, name);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
};

describe('the files of a cgroup', () => {
  it.each([
    ['populated 0\nfrozen 0\n', 'empty'],
    ['frozen 1\npopulated 1\n', 'populated'],
    ['', 'unknown'],
  ])('say %j: %s', (text, state) => {
    expect(stateOf(folder('c', { 'cgroup.events': text }))).toBe(state);
  });

  it('prove nothing where there is no cgroup mount: the folder being gone does not', () => {
    expect(stateOf(join(dir, 'never'))).toBe('unknown');
    expect(stateOf(folder('c', {}))).toBe('unknown');
  });

  it('tell what was killed for want of memory', async () => {
    const path = folder(STEP, { 'memory.events': EVENTS, 'cgroup.events': 'populated 0\n' });
    expect(oomKillsOf(path)).toBe(1);
    expect(oomKillsOf(folder('d', {}))).toBeNull();
    expect(await endCgroup(path)).toMatchObject({ isEmpty: true, oomKills: 1 });
  });

  it('are what a step is ended by whose meshrun is gone, and what its outcome says', async () => {
    const cgroup = folder(STEP, { 'memory.events': EVENTS, 'cgroup.events': 'populated 0\n' });
    const started = { type: 'started', pid: 2 ** 22 + 1, startTime: 1, bootId: bootId() };
    const record = parseRecord(`${JSON.stringify({ ...started, cookie: 'none', cgroup })}\n`);
    const target = { mark: { name: 'BM_NO_SUCH', value: 'x' }, main: null };
    const lost = { record, target, reason: NO_END };
    expect(await closeLostStep(folder('step', {}), lost)).toMatchObject({
      end: { kind: 'lost' },
      oomKills: 1,
      gone: { proof: 'cgroup', empty: true },
    });
  });
});

describe('what is killed by its cgroup', () => {
  it.each(['/c/benchmesh.x/step.1.2', '/c/s.service/benchmesh.a-b_1/step.4194304.99'])(
    'is a step: %s',
    (path) => {
      expect(isStepCgroup(path)).toBe(true);
    },
  );

  it.each([
    '',
    '/',
    '/sys/fs/cgroup/unified',
    '/sys/fs/cgroup/unified/',
    'benchmesh.x/step.1.2',
    '/c/benchmesh.x',
    '/c/benchmesh.x/agent.1.2',
    '/c/benchmesh.x/step.1.2/',
    '/c/benchmesh.x/step.1.2/..',
    '/c/benchmesh.x/../step.1.2',
    '/c//benchmesh.x/step.1.2',
    '/c/benchmesh./step.1.2',
    '/c/other/step.1.2',
    '/c/system.slice/ssh.service',
  ])('is never %j', (path) => {
    expect(isStepCgroup(path)).toBe(false); // asked only: with a broken guard these are real
  });

  it('is not what a record names that a step has forged', async () => {
    const files = { 'cgroup.events': 'populated 1\n', 'cgroup.kill': '', 'cgroup.procs': '' };
    const foreign = folder('ssh.service', files);
    const started = { type: 'started', pid: 2 ** 22 + 1, startTime: 1, bootId: bootId() };
    const line = JSON.stringify({ ...started, cookie: 'none', cgroup: foreign });
    const target = { mark: { name: 'BM_NO_SUCH', value: 'x' }, main: null };
    const lost = { record: parseRecord(`${line}\n`), target, reason: NO_END };
    expect((await closeLostStep(folder('step', {}), lost)).gone).toMatchObject({
      proof: 'scan',
      empty: false,
    });
    expect(readFileSync(join(foreign, 'cgroup.kill'), 'utf8')).toBe('');
  });
});

describe('controllers', () => {
  const WANTED = ['pids', 'memory'];
  interface Case {
    readonly home: Readonly<Record<string, string>>;
    readonly base: string;
    readonly unit?: string;
  }
  const taken = ({ home, base, unit }: Case): ReturnType<typeof takeControllers> => {
    const at = folder('home', { 'cgroup.subtree_control': '', 'cgroup.procs': '', ...home });
    folder('home/base', { 'cgroup.controllers': base, 'cgroup.subtree_control': '' });
    folder('home/base/leaf', { 'cgroup.procs': '' });
    return takeControllers({
      home: { dir: at, ownDir: at, unit: unit ?? null, isTop: false },
      base: join(at, 'base'),
      leaf: join(at, 'base/leaf'),
      wanted: WANTED,
    });
  };
  const text = (name: string): string => readFileSync(join(dir, name), 'utf8');

  it('that are given on already are given to the steps, and nobody moves', () => {
    const found = taken({
      home: { 'cgroup.controllers': 'cpu memory pids' },
      base: 'memory pids',
    });
    expect(found).toEqual({ given: ['memory', 'pids'], missing: null, taken: null });
    expect(text('home/base/cgroup.subtree_control')).toBe('+memory +pids');
    expect(text('home/base/leaf/cgroup.procs')).toBe('');
  });

  it('that are offered are asked for from the leaf', () => {
    const found = taken({
      home: { 'cgroup.controllers': 'memory pids', 'cgroup.type': 'domain\n' },
      base: '', // no kernel adds them here
    });
    expect(text('home/base/leaf/cgroup.procs')).toBe(String(process.pid));
    expect(text('home/cgroup.subtree_control')).toBe('+memory +pids');
    expect(found.taken).toEqual({ home: join(dir, 'home'), names: ['memory', 'pids'] });
  });

  it('stay where they are at the root, and in the cgroup of a systemd unit', () => {
    const offered = { 'cgroup.controllers': 'memory pids' };
    expect(taken({ home: offered, base: '' })).toMatchObject({
      given: [],
      missing: 'the root cgroup does not give on memory, pids',
      taken: null,
    });
    const home = { ...offered, 'cgroup.type': 'domain\n' };
    expect(taken({ home, base: '', unit: 'b.service' }).missing).toMatch(
      /^b.service gives on memory, pids only with DelegateSubgroup=/,
    );
    expect(text('home/cgroup.subtree_control')).toBe('');
    expect(text('home/base/leaf/cgroup.procs')).toBe('');
  });

  it('that are not there are named', () => {
    const found = taken({ home: { 'cgroup.controllers': 'hugetlb' }, base: '' });
    expect(found.missing).toBe(
      `${join(dir, 'home')} does not have the cgroup controller pids, memory`,
    );
  });
});
