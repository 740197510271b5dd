/** How a live run is served, changed by an operator. */
import { describe, expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { Miniature } from './miniature.ts';

const FIRST = '2026-02-13_14-30-45-aaaa';
const SECOND = '2026-02-13_14-30-46-bbbb';
const SUITE = {
  axes: { item: [1, 2, 3, 4] },
  needs: { slots: 1, cpus: 0, exclusive: false },
};

function flow(mesh: Miniature): void {
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
}

/** Two runs on one slot, of which the first has two tasks in hand. */
function meshOf(): Miniature {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(FIRST, SUITE);
  mesh.submit(SECOND, { ...SUITE, priorityBy: { item: { 4: 1 } }, priority: -1 });
  flow(mesh);
  return mesh;
}

const started = (mesh: Miniature): string[] =>
  mesh.commands.flatMap((record) => {
    if (record?.message.name !== 'command.start') return [];
    const { run, axes } = record.message.data.spec;
    return [`${run === FIRST ? 'first' : 'second'} ${String(axes['item'])}`];
  });

describe('a live run', () => {
  it('with a higher priority goes first from now on, for the next leader too', () => {
    const mesh = meshOf();
    const token = mesh.change(SECOND, { priority: 5 });
    expect(mesh.replies.has(token)).toBe(false); // not before it is stored
    flow(mesh);
    expect(mesh.replies.get(token)).toEqual({
      kind: 'ok',
      reply: { run: SECOND, priority: 5, maxParallel: null },
    });
    mesh.lead();
    mesh.settle();
    const own = ['first 1', 'first 2', 'second 4', 'second 1', 'second 2', 'second 3'];
    // What waited there was taken back, and takes its turn again.
    expect(started(mesh)).toEqual([...own, 'first 2', 'first 3', 'first 4']);
    const { fold } = mesh.core.runs.get(SECOND) ?? {};
    expect(fold === undefined ? null : runView(fold)).toMatchObject({ priority: 5 });
    expect(fold && taskViews(fold).map(({ priority }) => priority)).toEqual([5, 5, 5, 6]);
  });

  it('has at most so many tasks under way, or no limit again', () => {
    const mesh = meshOf();
    mesh.change(FIRST, { maxParallel: 1 });
    flow(mesh);
    const task = mesh.core.runs.get(FIRST)?.listed[3]?.id ?? '';
    const limited = { reason: { kind: 'max_parallel', limit: 1 } };
    expect(explain(mesh.core, { run: FIRST, task })).toMatchObject(limited);
    mesh.lead();
    flow(mesh);
    expect(explain(mesh.core, { run: FIRST, task })).toMatchObject(limited);
    while (mesh.agentReads(0, false));
    mesh.agentExits(0, 'passed', false);
    flow(mesh);
    const later = started(mesh).slice(2);
    expect(later[0]).toBe('second 4');
    expect(later.filter((one) => one.startsWith('first'))).toEqual([]); // it has one under way
    mesh.change(FIRST, { maxParallel: null });
    flow(mesh);
    expect(explain(mesh.core, { run: FIRST, task })).not.toMatchObject(limited);
    mesh.settle();
    expect(started(mesh)).toHaveLength(8);
  });

  it('only: one that is not, or has ended, says so', () => {
    const mesh = meshOf();
    mesh.settle();
    expect(mesh.replies.get(mesh.change(FIRST, { priority: 1 }))).toMatchObject({
      kind: 'error',
      code: 'already_ended',
    });
    const other = '2026-02-13_14-30-47-cccc';
    expect(mesh.replies.get(mesh.change(other, { priority: 1 }))).toMatchObject({
      kind: 'error',
      code: 'not_found',
    });
  });
});
