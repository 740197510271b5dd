/** Folders of runs that nobody released: which go, and which never do. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LeftRuns } from '#agent/host/left-runs.ts';
import type { HostMessage } from '#agent/host/host-state.ts';
import { LedgerFold } from '#agent/state/ledger-entries.ts';
import { silentLog, type LogFields } from '#protocol/runtime/log.ts';
import { ManualClock } from '#test/support/manual-clock.ts';
import { until } from '#test/support/until.ts';
import { ended, play, RUN, short, start, stop } from './host-cases.ts';

const DAY_MS = 86_400_000;
const clock = new ManualClock();
const said: LogFields[] = [];
const log = { ...silentLog, info: (fields: LogFields) => said.push(fields) };
let stateDir: string;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'left-runs-'));
  mkdirSync(join(stateDir, 'attempts'));
  said.length = 0;
});

afterEach(() => {
  rmSync(stateDir, { recursive: true, force: true });
});

/** A run's folder, and in it an attempt's, last changed so many days ago. */
function folder(name: string, ownDays: number, insideDays = ownDays): void {
  const dir = join(stateDir, 'attempts', name);
  mkdirSync(join(dir, 't.1', 'deep'), { recursive: true });
  const at = (days: number): Date => new Date(clock.now().wallMs - days * DAY_MS);
  utimesSync(join(dir, 't.1'), at(insideDays), at(insideDays));
  utimesSync(dir, at(ownDays), at(ownDays));
}

const there = (): string[] => readdirSync(join(stateDir, 'attempts'));

async function found(): Promise<string[]> {
  const names: string[] = [];
  const onFound = (run: string): void => void names.push(run);
  const runs = new LeftRuns({ stateDir, keepDays: 7, onFound, clock, log });
  await runs.begin();
  runs.close();
  return names;
}

test('found is what neither itself nor anything directly in it has changed for so long', async () => {
  folder('old', 8);
  folder('young', 6);
  folder('used', 8, 1);
  folder('future', -400);
  expect(await found()).toEqual(['old']);
  expect(there()).toHaveLength(4);
});

test('what is taken is out of the way at once, gone soon, and named in the log', async () => {
  folder('old', 8);
  const runs = new LeftRuns({ stateDir, keepDays: 7, onFound: () => undefined, clock, log });
  runs.take('old');
  expect(existsSync(join(stateDir, 'attempts', 'old'))).toBe(false);
  await until(() => there().length === 0, 'the folder to be gone');
  expect(said).toEqual([{ run: 'old', keepDays: 7 }]);
  runs.take('never-was');
  expect(said).toHaveLength(1);
});

test('what a crash left of one is removed, whatever its age; it is looked for again each day', async () => {
  folder('.left-older', 0);
  expect(await found()).toEqual([]);
  expect(there()).toEqual([]);
  const names: string[] = [];
  const onFound = (run: string): void => void names.push(run);
  const runs = new LeftRuns({ stateDir, keepDays: 7, onFound, clock, log });
  await runs.begin();
  folder('old', 8);
  clock.advance(DAY_MS);
  await until(() => names.length > 0, 'the second look');
  runs.close();
  expect(names).toEqual(['old']);
  expect(clock.waiting).toBe(0);
});

const FORGET: HostMessage = { kind: 'forget_run', run: RUN };

test.each<[string, HostMessage[]]>([
  ['runs', [start('a', 1)]],
  ['waits', [start('a', 1, { needs: { exclusive: true } }), start('b', 2)]],
  ['has left survivors', [start('a', 1), ended('a', [77])]],
  ['is being stopped', [start('a', 1), stop('s', 2)]],
])('a run of which something %s keeps its folder', (_name, messages) => {
  expect(short(play([...messages, FORGET]).effects)).not.toContain('forget_run');
});

test('one of which all has ended loses it, and what the host was prepared with', () => {
  const { state } = play([start('a', 1), ended('a')]);
  const prepared = { ...state, setups: new Map([[`${RUN}/k`, 'done']]) };
  const after = play([FORGET], prepared);
  expect(short(after.effects)).toEqual(['forget_run']);
  expect(after.state.setups.size).toBe(0);
});

test('the ledger forgets what was prepared, and keeps the stops', () => {
  const fold = new LedgerFold();
  const floor = { sequence: 3, era: 0 };
  fold.setups.add(`${RUN}/k`).add('other/k');
  fold.floors.set(RUN, floor);
  fold.apply({ t: 'forgot', run: RUN });
  expect([...fold.setups]).toEqual(['other/k']);
  expect(fold.floors.get(RUN)).toEqual(floor);
});
