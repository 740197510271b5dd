import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duration, plural, quantity, bytes } from '#cli/output/format.ts';
import { progressLines } from '#cli/output/progress.ts';
import { resultsTable } from '#cli/output/results-table.ts';
import { exitOfRun } from '#cli/output/run-end.ts';
import {
  countsText,
  currentLines,
  metricsText,
  runLines,
  taskColumns,
} from '#cli/output/run-text.ts';
import { Stopwatch } from '#cli/output/stopwatch.ts';
import { styleFor, wantsColour } from '#cli/output/style.ts';
import { table } from '#cli/output/table.ts';
import { widthOf } from '#cli/output/text.ts';
import { pageOf } from '#cli/commands/tasks.ts';
import { labelsOf } from '#cli/commands/run.ts';
import { applyToRun, createRunFold } from '#protocol/fold/run-fold.ts';
import { runView, type RunView } from '#protocol/fold/run-view.ts';
import { taskViews, type TaskView } from '#protocol/fold/task-view.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

const style = styleFor(false);

function fresh(): { view: RunView; tasks: TaskView[] } {
  const log = new RecordLog();
  log.submitted();
  const fold = createRunFold(RUN);
  for (const record of log.records) applyToRun(fold, record);
  const view = runView(fold);
  if (view === null) throw new Error('no view');
  return { view, tasks: taskViews(fold) };
}

it.each([40, 60, 80, 120])('in %d columns ids stay whole', (width) => {
  const { view, tasks } = fresh();
  const task = tasks[0];
  if (task === undefined) throw new Error('no task');
  const failed = {
    ...task,
    ...({ state: 'ended', outcome: 'timed_out', stage: 'run', class: 'timeout' } as const),
    message: 'run: the time limit ended it (killed by SIGTERM)',
    ...{ agent: 'a-rather-long-agent-name', address: '10.0.0.1' },
  };
  const lines = table([failed], taskColumns(style), { width });
  expect(lines[1]).toContain(`${task.id} `);
  for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
  const current = { ...failed, n: 1, agent: failed.agent, state: 'run' as const };
  const [, row] = currentLines({ ...view, current: [current] }, { style, width });
  expect(row).toContain(`${task.id} `);
});

it('the elapsed time of what goes on is of its last event, and says so', () => {
  const { view, tasks } = fresh();
  const about = { style, directory: null };
  expect(runLines(view, about).join('\n')).toMatch(/elapsed +0 ms at its last event/);
  const ended = { ...view, state: 'ended', elapsedMs: 59 } as const;
  expect(runLines(ended, about).join('\n')).toMatch(/elapsed +59 ms$/m);
  const [, line] = table(tasks.slice(0, 1), taskColumns(style), { width: null });
  expect(line).toContain('> 0 ms');
});

it('ten thousand metrics are not one line of them all', () => {
  const metrics = Array.from({ length: 10_000 }, (_, at) => {
    return { name: `m${at}`, value: at, unit: 's', direction: 'none' } as const;
  });
  expect(metricsText(metrics)).toMatch(/^m0 0 s, m1 1 s, .*m19 19 s, and 9980 more$/);
  expect(metricsText(metrics.slice(0, 2))).toBe('m0 0 s, m1 1 s');
});

describe('values', () => {
  it.each([
    [0, '0 ms'],
    [812, '812 ms'],
    [1_234, '1.2 s'],
    [185_000, '3 m 05 s'],
    [59_980, '1 m 00 s'],
    [7_380_000, '2 h 03 m'],
    [371_000_000, '4 d 07 h'],
  ])('%d ms is %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it.each([
    [812.5, '812.50'],
    [0.0012345, '0.0012345'],
    [750060180.65, '750060181'],
    [3, '3'],
    [0, '0'],
    [-12.5, '-12.500'],
    [1e20, '1.000e+20'],
    [NaN, 'NaN'],
  ])('%d is %s', (value, text) => {
    expect(quantity(value)).toBe(text);
  });

  it('counts and sizes', () => {
    expect([plural(1, 'process'), plural(2, 'process'), plural(0, 'task')]).toEqual([
      '1 process',
      '2 processes',
      '0 tasks',
    ]);
    expect([bytes(12), bytes(1_536), bytes(5 * 1024 ** 3)]).toEqual(['12 B', '1.5 KiB', '5.0 GiB']);
  });
});

describe('a run while it runs', () => {
  it('fits the terminal', () => {
    const { view } = fresh();
    const [first] = fresh().tasks;
    const task = {
      id: 't',
      axes: first?.axes ?? {},
      repeat: 1,
      n: 1,
      agent: 'an-agent-with-a-long-name',
      state: 'run' as const,
      phase: 'measure',
      progress: 0.426,
      message: 'loaded',
      elapsedMs: 1_000,
      unreachable: false,
      waiting: null,
    };
    const current = Array.from({ length: 12 }, () => task);
    const lines = progressLines(
      { ...view, state: 'running', current },
      { elapsed: (_key, ownMs) => ownMs + 500, leftMs: null, width: 50, style },
    );
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(50);
    expect(lines.join('\n')).toContain('and 4 more');
    const wide = progressLines(
      { ...view, current: [task] },
      { elapsed: (_key, ownMs) => ownMs + 500, leftMs: 65_000, width: 200, style },
    );
    expect(wide[0]).toContain(', about 1 m 05 s left');
    expect(wide.at(-1)).toContain('an-agent-with-a-long-name  measure 42%  1.5 s  loaded');
  });

  it('counts', () => {
    const { view } = fresh();
    expect(
      countsText({
        ...view,
        tasks: 4,
        states: { pending: 1, assigned: 0, running: 1, ended: 2 },
        outcomes: { failed: 1, passed: 1 },
      }),
    ).toBe('2/4 tasks: 1 failed, 1 passed, 1 running, 1 pending');
  });
});

describe('elapsed times on the screen', () => {
  it('go on between reports and never back', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(500), fc.nat(500))), (steps) => {
        const watch = new Stopwatch();
        let [now, own, before] = [0, 0, 0];
        for (const [wait, report] of steps) {
          now += wait;
          own = Math.max(own, report);
          const shown = watch.read('a', own, now);
          expect(shown).toBeGreaterThanOrEqual(Math.max(before, own));
          before = shown;
        }
      }),
    );
    const watch = new Stopwatch();
    watch.read('a', 100, 1_000);
    expect(watch.read('a', 100, 1_500)).toBe(600);
    expect(watch.read('a', 500, 1_600)).toBe(600);
    expect(watch.read('b', 0, 1_600)).toBe(0);
  });
});

describe('its end', () => {
  it.each([
    ['passed', 0],
    ['failed', 3],
    ['stopped', 1],
  ] as const)('%s ends with %i', (outcome, exit) => {
    expect(exitOfRun({ state: 'ended', outcome })).toBe(exit);
  });

  it('a run that passed and could not be archived is a failure, one that failed stays one', () => {
    expect(exitOfRun({ state: 'ended', outcome: 'passed' }, 'the disk is full')).toBe(1);
    expect(exitOfRun({ state: 'ended', outcome: 'failed' }, 'the disk is full')).toBe(3);
  });

  it('results: median and spread with unit and direction, one row per cell', () => {
    const { tasks } = fresh();
    const [task] = tasks;
    if (task === undefined) throw new Error('no task');
    const measured = [10, 12, 11].map((value, index): TaskView => ({
      ...task,
      axes: { size: 4 },
      id: `t${index}`,
      outcome: 'passed',
      metrics: [{ name: 'rate', value, unit: 'op/s', direction: 'higher' }],
    }));
    const failed: TaskView = {
      ...task,
      axes: { size: 4 },
      outcome: 'failed',
      metrics: measured[0]?.metrics ?? [],
    };
    expect(
      resultsTable([...measured, failed], { style, width: null, partial: false, automatic: false }),
    ).toEqual([
      'size  metric  median  unit    min .. max  spread  n',
      '   4  rate        11  op/s ↑    10 .. 12   18.2%  3',
    ]);
    expect(resultsTable([], { style, width: null, partial: false, automatic: false })).toEqual([]);
    const took = { name: 'step.run.duration', value: 2, unit: 's', direction: 'lower' } as const;
    const all = measured.map((each) => ({ ...each, automatic: [took] }));
    const about = { style, width: null, partial: false };
    expect(resultsTable(all, { ...about, automatic: true }).at(-1)).toMatch(
      /step.run.duration +2 /,
    );
    expect(resultsTable(all, { ...about, automatic: false })).toHaveLength(2);
  });
});

describe('flags', () => {
  it('tasks are paged after one of them', () => {
    const { tasks } = fresh();
    const ids = tasks.map((task) => task.id);
    const first = pageOf(tasks, { limit: 1 });
    expect(first.tasks.map((task) => task.id)).toEqual(ids.slice(0, 1));
    expect(first.left).toBe(ids.length - 1);
    const after = ids[0] ?? '';
    expect(pageOf(tasks, { limit: 100, after }).tasks.map((task) => task.id)).toEqual(ids.slice(1));
    expect(pageOf(tasks, { limit: 100, status: 'failed' }).tasks).toEqual([]);
    expect(pageOf(tasks, { limit: 100, status: 'pending' }).tasks).toHaveLength(ids.length);
  });

  it('labels are key=value', () => {
    expect(labelsOf(['a=1', 'b=x=y'])).toEqual({ a: '1', b: 'x=y' });
    for (const wrong of [['nothing'], ['a=1', 'a=2']])
      expect(() => labelsOf(wrong)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: '1' }, true, false],
    [{ NO_COLOR: '' }, true, true],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
    [{ TERM: 'dumb' }, true, false],
  ])('colour with %j on a terminal: %s', (env, isTerminal, colour) => {
    expect(wantsColour(env, isTerminal)).toBe(colour);
  });
});
