import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupTasks } from '#cli/runs/task-groups.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { MeshError } from '#protocol/messages/errors.ts';

const BASE = {
  ...{ state: 'ended', outcome: 'failed', stage: 'run', class: 'exit', message: 'exit status 3' },
  ...{ agent: 'a1', attempts: 1, elapsedMs: 100, axes: {} },
} satisfies Partial<TaskView>;

function tasks(...each: readonly Partial<TaskView>[]): TaskView[] {
  return each.map((one, at) => ({ ...BASE, id: `t${at}`, ...one }) as TaskView);
}

describe('tasks by what they have in common', () => {
  it('counts what fails, the largest group first, with attempts and time in the mean', () => {
    const groups = groupTasks(
      tasks(
        { stage: 'load', attempts: 3 },
        {},
        { attempts: 3, elapsedMs: 300 },
        { state: 'pending', outcome: null, stage: null, attempts: 0, elapsedMs: 0 },
      ),
      ['stage'],
    );
    expect(groups).toEqual([
      {
        ...{ by: { stage: 'run' }, tasks: 2, ended: 2, passed: 0, failed: 2 },
        ...{ meanAttempts: 2, meanElapsedMs: 200, first: 't1' },
      },
      {
        ...{ by: { stage: 'load' }, tasks: 1, ended: 1, passed: 0, failed: 1 },
        ...{ meanAttempts: 3, meanElapsedMs: 100, first: 't0' },
      },
      {
        ...{ by: { stage: null }, tasks: 1, ended: 0, passed: 0, failed: 0 },
        ...{ meanAttempts: 0, meanElapsedMs: null, first: 't3' },
      },
    ]);
  });

  it('a stop and a skip are no failures; a loss, a time-out and a quarantine are', () => {
    const outcomes = ['passed', 'stopped', 'skipped', 'failed', 'timed_out', 'lost', 'quarantined'];
    const all = tasks(...outcomes.map((outcome) => ({ outcome }) as Partial<TaskView>));
    expect(groupTasks(all, ['state'])).toMatchObject([{ tasks: 7, passed: 1, failed: 4 }]);
  });

  it('goes by axes too, several at once, also by one that is called as a word is', () => {
    const all = tasks(
      { axes: { model: 'a', stage: 1 } },
      { axes: { model: 'b', stage: 1 } },
      { axes: { model: 'a', stage: 2 }, stage: null },
    );
    const by = (...names: string[]): unknown => groupTasks(all, names).map((group) => group.by);
    expect(by('model')).toEqual([{ model: 'a' }, { model: 'b' }]);
    expect(by('axis:stage')).toEqual([{ 'axis:stage': '1' }, { 'axis:stage': '2' }]);
    expect(by('model', 'stage')).toEqual([
      { model: 'a', stage: 'run' },
      { model: 'b', stage: 'run' },
      { model: 'a', stage: null },
    ]);
  });

  it('says which names there are', () => {
    const wrong = (): unknown => groupTasks(tasks({ axes: { model: 'a' } }), ['modle']);
    expect(wrong).toThrow(MeshError);
    expect(wrong).toThrow(/--group-by modle: .*state, outcome, stage, class, reason, agent, model/);
  });

  it('counts each task in one group', () => {
    const one = fc.record({
      stage: fc.constantFrom('run', 'load', null),
      class: fc.constantFrom('exit', 'oom', null),
      outcome: fc.constantFrom('passed', 'failed', 'lost'),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 30 }), (each) => {
        const groups = groupTasks(tasks(...(each as Partial<TaskView>[])), ['stage', 'class']);
        const total = (of: 'tasks' | 'ended'): number =>
          groups.reduce((sum, group) => sum + group[of], 0);
        expect([total('tasks'), total('ended')]).toEqual([each.length, each.length]);
        for (const { tasks: all, passed, failed } of groups) expect(passed + failed).toBe(all);
      }),
    );
  });
});
