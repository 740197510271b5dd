/**
 * I5, I9: every way out of supervision that facts know of, on every rung of the ladder. Prints the
 * table. What lives is found by the test itself, by a unique argument in the command lines; what a
 * rung says of it must never be more than that.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { StepOutcome, StepSpec } from '#agent/process/types.ts';
import { CgroupSubtree, NO_CGROUPS, OTHER_UID } from '#test/support/cgroups.ts';
import { ProcessAgent, type ProcessAgentOptions } from '#test/support/process-agent-client.ts';
import { PATH } from '#test/support/process-step.ts';
import { processesMarked } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const TREE = resolve('test/fixtures/process-tree.pl');

/** What the tree is made of, and the least of it that stands when the stop comes. */
const ESCAPES: readonly (readonly [name: string, kinds: string, least: number])[] = [
  ['plain', 'plain=3', 4],
  ['nohup', 'nohup=3', 4],
  ['ignores TERM', 'stubborn=3', 4],
  ['stopped', 'stopped=3', 4],
  ['zombie', 'zombie=3 plain=1', 2],
  ['fork bomb', 'bomb=6', 2],
  ['setsid', 'setsid=3', 4],
  ['double fork, daemon()', 'daemon=3', 4],
  ['env -i', 'cleared=3', 4],
  ['env -i + daemon()', 'envless=3', 4],
  ['fork chain, setsid at each hop', 'chain=400', 2],
  ['fork chain with env -i', 'envchain=400', 2],
];

/** What a scan cannot see, whenever it looks. */
const SCAN_MISSES = 'env -i + daemon()';

interface Column {
  readonly name: string;
  readonly rung: 'subreaper' | 'cgroup' | 'scan';
  readonly agent: ProcessAgent;
  readonly uid: number | null;
  readonly subtree: CgroupSubtree | null;
}

interface Cell {
  readonly outcome: StepOutcome;
  readonly alive: number;
}

const columns: Column[] = [];
const table = new Map<string, string[]>();
const marks: string[] = [];
const root = mkdtempSync(join(tmpdir(), 'bm-escape-'));
let count = 0;

beforeAll(async () => {
  add('subreaper', 'subreaper', {});
  add('scan', 'scan', {});
  const noOther = NO_CGROUPS ?? whyNotAs(OTHER_UID);
  if (NO_CGROUPS === null) {
    const subtree = new CgroupSubtree();
    const wrapper = subtree.wrapper();
    add('cgroup as root', 'cgroup', { cgroupHome: subtree.home, wrapper }, { subtree });
  } else process.stdout.write(`skipped: cgroup as root: ${NO_CGROUPS}\n`);
  if (noOther === null) {
    const subtree = new CgroupSubtree(OTHER_UID);
    const wrapper = subtree.wrapper(OTHER_UID);
    // It finds the subtree by itself.
    add('cgroup of a user', 'cgroup', { wrapper }, { subtree, uid: OTHER_UID });
  } else process.stdout.write(`skipped: cgroup of a user: ${noOther}\n`);
  for (const { agent, rung } of columns) expect((await agent.begun()).rung).toBe(rung);
});

afterEach(() => {
  for (const mark of marks.splice(0))
    for (const pid of processesMarked(mark)) process.kill(pid, 'SIGKILL');
});

afterAll(async () => {
  for (const { agent } of columns) await agent.close();
  process.stdout.write(`${textOf(table, columns)}\n`);
  const left = columns.flatMap(({ subtree }) => subtree?.names() ?? []);
  for (const { subtree } of columns) subtree?.dispose();
  rmSync(root, { recursive: true, force: true });
  expect(left).toEqual([]);
});

function add(
  name: string,
  rung: Column['rung'],
  options: ProcessAgentOptions,
  at: { readonly subtree?: CgroupSubtree; readonly uid?: number } = {},
): void {
  const agent = new ProcessAgent({ rung, owner: 'matrix', ...options });
  columns.push({ name, rung, agent, uid: at.uid ?? null, subtree: at.subtree ?? null });
}

/** Null if this repository can be read by that user. */
function whyNotAs(uid: number): string | null {
  const as = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  const { status, error } = spawnSync('setpriv', [...as, 'cat', TREE], { stdio: 'ignore' });
  if (error !== undefined) return 'there is no setpriv';
  return status === 0 ? null : `user ${uid} cannot read ${TREE}`;
}

async function attempt({ agent, uid }: Column, kinds: string, least: number): Promise<Cell> {
  const dir = join(root, String((count += 1)));
  mkdirSync(dir, { mode: 0o755 });
  if (uid !== null) {
    execFileSync('chmod', ['755', root]);
    chownSync(dir, uid, uid);
  }
  const mark = `bm-escape-${process.pid}-${count}`;
  marks.push(mark);
  const ready = join(dir, 'ready');
  const spec: StepSpec = {
    argv: ['perl', TREE, mark, ready, ...kinds.split(' ')],
    env: { PATH, LC_ALL: 'C' },
    cwd: dir,
    stdio: 'pipe',
    budgetMs: null,
    graceMs: 200,
    stopSignal: 'SIGTERM',
    stopFile: join(dir, 'stop'),
    logLimitBytes: 1 << 20,
  };
  agent.ask(dir, spec);
  await until(
    () => existsSync(ready) && processesMarked(mark).length >= least,
    `${kinds} to stand`,
  );
  agent.stop(dir);
  const outcome = await agent.outcomeOf(dir);
  return { outcome, alive: processesMarked(mark).length };
}

function wordOf({ outcome, alive }: Cell): string {
  const said = outcome.gone.empty ? 'proven' : 'unproven';
  return alive === 0 ? `dead, ${said}` : `${alive} alive, ${said}`;
}

function textOf(rows: Map<string, string[]>, heads: readonly Column[]): string {
  const lines = [['escape', ...heads.map(({ name }) => name)]];
  for (const [name, words] of rows) lines.push([name, ...words]);
  const widths = lines[0]?.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines
    .map((line) => line.map((word, at) => word.padEnd(widths?.[at] ?? 0)).join('  '))
    .join('\n');
}

describe('stop', () => {
  it.each(ESCAPES)('%s', async (name, kinds, least) => {
    const cells = await Promise.all(columns.map((column) => attempt(column, kinds, least)));
    table.set(name, cells.map(wordOf));
    for (const [at, { rung, name: column }] of columns.entries()) {
      const { outcome, alive } = cells[at] ?? { outcome: null, alive: -1 };
      if (rung === 'scan') {
        expect(outcome?.gone, column).toMatchObject({ proof: 'scan', empty: false });
        if (name === SCAN_MISSES) expect(alive, column).toBeGreaterThan(0);
        continue;
      }
      expect({ column, alive }).toEqual({ column, alive: 0 });
      expect(outcome?.gone, column).toMatchObject({ proof: rung, empty: true, survivors: [] });
    }
  });
});
