import { describe, expect, it } from 'vitest';
import { createCore, type Context } from '#coordinator/core/core-state.ts';
import { endPassed, sayPassed } from '#coordinator/core/ends/passed.ts';
import { createRun, type RunEntry, type TaskEntry } from '#coordinator/runs/run-state.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';

const run = createRun('r1', goldenMessages['run.submitted'], 1);
const other = createRun('r2', goldenMessages['run.submitted'], 2);
const taskOf = (of: RunEntry): TaskEntry => of.listed[0] as TaskEntry;

function script() {
  const state = createCore({ epoch: 1, sequence: 1 });
  return (monotonicMs: number, act: (context: Context) => void) => {
    const context: Context = { state, now: { wallMs: 0, monotonicMs }, effects: [] };
    act(context);
    return context.effects;
  };
}

describe('tasks that passed', () => {
  it('end at once after quiet, together within a moment, by run', () => {
    const at = script();
    const first = at(1000, (context) => {
      endPassed(context, run, taskOf(run));
    });
    expect(first).toMatchObject([
      { name: 'run.tasks_ended', data: { outcome: 'passed', tasks: [taskOf(run).id] } },
    ]);
    const gathered = at(1005, (context) => {
      for (const of of [run, run, other]) endPassed(context, of, taskOf(of));
    });
    expect(gathered).toEqual([{ kind: 'say_passed_soon', afterMs: 20 }]);
    expect(at(1025, sayPassed)).toMatchObject([
      { subject: 'bm.v1.evt.run.r1', data: { tasks: [taskOf(run).id, taskOf(run).id] } },
      { subject: 'bm.v1.evt.run.r2', data: { tasks: [taskOf(other).id] } },
    ]);
    expect(at(1030, sayPassed)).toEqual([]);
  });

  it('are at most 500 a message', () => {
    const at = script();
    at(1000, sayPassed);
    at(1001, (context) => {
      for (let count = 0; count < 1001; count += 1) endPassed(context, run, taskOf(run));
    });
    const sizes = at(1025, sayPassed).map((effect) =>
      effect.kind === 'publish' && effect.name === 'run.tasks_ended' ? effect.data.tasks.length : 0,
    );
    expect(sizes).toEqual([500, 500, 1]);
  });
});
