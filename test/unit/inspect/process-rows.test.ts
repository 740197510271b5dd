/** What processes do, from two looks: never a wrong share, whatever happens between them. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { lookAt, processRows } from '#agent/inspect/process-rows.ts';
import { FakeProc } from '#test/support/fake-proc.ts';

/** As files of /proc are read. */
const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

function rowsOf(files: FakeProc, change: () => void): ReturnType<typeof processRows> {
  const before = lookAt(files, files.processes.keys(), 1_000);
  change();
  const after = lookAt(files, files.processes.keys(), 1_500);
  return processRows(files, { before, after }, () => 'run');
}

it('says share, memory, age and command of each', () => {
  const files = new FakeProc();
  files.processes.set(7, {
    parent: 1,
    startTime: 400,
    ownTicks: 100,
    rssPages: 3,
    argv: ['a', 'b c'],
  });
  files.processes.set(9, { parent: 7, startTime: 990, threads: 2, name: latin1('wörk) (er') });
  const rows = rowsOf(files, () => {
    files.processes.set(7, { ...files.processes.get(7), parent: 1, ownTicks: 125 });
  });
  expect(rows).toEqual([
    {
      pid: 7,
      parent: 1,
      step: 'run',
      state: 'S',
      threads: 1,
      cpuSeconds: 1.25,
      cpuPercent: 50,
      rssBytes: 3 * 4_096,
      elapsedMs: 6_000,
      command: 'a b c',
    },
    expect.objectContaining({ pid: 9, parent: 7, threads: 2, cpuPercent: 0, elapsedMs: 100 }),
  ]);
  expect(rows[1]?.command).toBe('[wörk) (er]');
});

it('has no share for a pid that is another process by now, and none for what is gone', () => {
  const files = new FakeProc();
  files.processes.set(7, { parent: 1, ownTicks: 100, startTime: 10 });
  files.processes.set(8, { parent: 1 });
  const rows = rowsOf(files, () => {
    files.processes.set(7, { parent: 1, ownTicks: 1, startTime: 900 });
    files.processes.delete(8);
  });
  expect(rows.map(({ pid, cpuPercent }) => [pid, cpuPercent])).toEqual([[7, null]]);
});

it('cuts a command, and never breaks on what is in it', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 20 }), (argv) => {
      const files = new FakeProc();
      files.processes.set(7, { parent: 1, argv: argv.map(latin1) });
      const [row] = rowsOf(files, () => undefined);
      expect(row?.command.length).toBeLessThanOrEqual(400);
    }),
    { numRuns: 40 },
  );
});
