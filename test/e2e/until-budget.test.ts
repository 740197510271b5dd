/** Runs that measure their cells until their budget ends: every slot busy to the end, then stopped or finished. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { TestMesh } from '#test/support/mesh.ts';

const SLOTS = 3;
/** One that is far longer than the others, and one that fails each second time. */
const UNEVEN = `name: uneven
axes: { item: [1, 2, 3, 4, 5, 6] }
needs: { exclusive: false }
grace: 1s
run:
  shell: |
    case $BENCHMESH_AXIS_ITEM in 1) sleep 1.2 ;; *) sleep 0.$BENCHMESH_AXIS_ITEM ;; esac
    [ $BENCHMESH_AXIS_ITEM -ne 2 ] || [ $((BENCHMESH_REPEAT % 2)) -eq 1 ]
repeat: until-budget
`;

interface EventRow {
  readonly timeMs: number;
  readonly message: { readonly name: string; readonly data: { readonly elapsedMs?: number } };
}

describe('until its budget ends', () => {
  let mesh: TestMesh;
  let suite: string;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up('--slots', String(SLOTS));
    suite = await mesh.file('uneven.yaml', UNEVEN);
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  const eventsOf = async (run: string): Promise<EventRow[]> => {
    const text = await readFile(join(await mesh.archived(run), 'events.ndjson'), 'utf8');
    const lines = text.trim().split('\n');
    return lines.map((line) => JSON.parse(line) as EventRow);
  };
  const timeOf = (events: readonly EventRow[], name: string): number =>
    events.find(({ message }) => message.name === name)?.timeMs ?? Number.NaN;

  it('is stopped then, with no slot idle before, and tells what is flaky and what was cut off', async () => {
    const budgetMs = 3_500;
    const run = await mesh.submit(suite, '--set', 'runBudget=3500ms');
    const events = await eventsOf(run);
    const { run: view } = await mesh.json<{ run: RunView }>('show', run);
    expect(view).toMatchObject({ state: 'ended', outcome: 'failed', stops: [{ result: 'dead' }] });
    expect(view.reason).toBe("the run's budget of 3.5 s was used up");
    expect(view.cycles?.begun).toBeGreaterThan(2);
    expect(view.states).toEqual({ pending: 0, assigned: 0, running: 0, ended: view.tasks });
    expect(view.flaky).toMatchObject({ cells: 1, listed: [{ axes: { item: 2 } }] });
    // What agents had in hand, and no thousand more.
    expect(view.outcomes.stopped).toBeLessThanOrEqual(SLOTS * 9);
    const tookMs = timeOf(events, 'run.stopping') - timeOf(events, 'run.started');
    expect(tookMs).toBeGreaterThanOrEqual(budgetMs - 2);
    const busyMs = events
      .filter(({ message }) => message.name === 'attempt.exited')
      .reduce((sum, { message }) => sum + (message.data.elapsedMs ?? 0), 0);
    expect(busyMs / (SLOTS * tookMs)).toBeGreaterThan(0.8);
    const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run, '--limit', '1000');
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(view.tasks);
    const flaky = tasks.filter((task) => task.flaky !== undefined);
    expect(flaky.every(({ axes }) => axes['item'] === 2)).toBe(true);
    expect(await mesh.ok('show', run)).toMatch(/flaky +1 cell both passed and failed: item=2/);
    expect(await mesh.ok('audit', run)).toContain('ok');
  });

  it('lets what runs finish where the suite says so', async () => {
    const flags = ['runBudget=1s', 'atBudget=finish'].flatMap((set) => ['--set', set]);
    const run = await mesh.submit(suite, ...flags, '--only', 'item=1', '--only', 'item=3');
    const events = await eventsOf(run);
    const { run: view } = await mesh.json<{ run: RunView }>('show', run);
    expect(view).toMatchObject({ outcome: 'passed', stops: [] });
    expect(view.outcomes).toEqual({ passed: view.tasks });
    const usedMs = timeOf(events, 'run.budget_used');
    const late = events.filter(
      ({ message, timeMs }) => message.name === 'attempt.exited' && timeMs > usedMs,
    );
    expect(late.length).toBeGreaterThan(0);
    expect(await mesh.ok('audit', run)).toContain('ok');
  });
});
