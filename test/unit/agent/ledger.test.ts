import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { restoredHost } from '#agent/host/restore.ts';
import { JournalFile } from '#agent/state/journal-file.ts';
import { Ledger } from '#agent/state/ledger.ts';
import {
  KNOWN_MOST,
  LedgerFold,
  type LedgerEntry,
  type MailPlace,
} from '#agent/state/ledger-entries.ts';
import { EXITED, outcomeOf, Script, specOf } from './attempt-cases.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'benchmesh-ledger-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const SPEC = specOf(['run']);
const KEY = `${SPEC.run}/${SPEC.task}#1`;
/** A stream's clock that goes with its sequence. */
const at = (sequence: number, timeMs = sequence * 10): MailPlace => ({ sequence, timeMs });
const START: LedgerEntry = { t: 'start', id: 'c1', seq: 5, spec: SPEC, afterStop: 0, priority: 0 };

function entryOf(script: Script, isShipped: boolean): LedgerEntry {
  const { spec: _spec, reported: _reported, ...state } = script.state;
  const ev = [
    { subject: 's', run: SPEC.run, seq: state.seq, name: 'attempt.exited', data: {} },
  ] as never;
  return { t: 'attempt', key: KEY, state, ev, isShipped };
}

describe('the ledger', () => {
  test('knows after a crash what it knew, and cuts off a torn last line', async () => {
    const { ledger } = Ledger.open(dir);
    expect(ledger.writeCommand(START as never)).toBe(true);
    const script = new Script(SPEC);
    script.begin();
    ledger.write(entryOf(script, false));
    await ledger.close();
    appendFileSync(join(dir, 'ledger.1'), '{"t":"attempt","key":"torn');
    const { ledger: again, events } = Ledger.open(dir);
    expect(again.fold.attempts.get(KEY)?.state?.life).toEqual({
      kind: 'stepping',
      index: 0,
      announced: false,
    });
    expect(events).toHaveLength(1);
    expect(again.fold.isRepeat('c1', at(5))).toBe(true);
    expect(again.fold.isRepeat('c1', at(6))).toBe(true);
    expect(again.fold.isRepeat('c2', at(6))).toBe(false);
    await again.close();
    expect(readFileSync(join(dir, 'ledger.1'), 'utf8').endsWith('}\n')).toBe(true);
  });

  test('every prefix of it can be opened', async () => {
    const { ledger } = Ledger.open(dir);
    ledger.writeCommand(START);
    ledger.write(entryOf(new Script(SPEC), false));
    await ledger.close();
    const whole = readFileSync(join(dir, 'ledger.1')).length;
    for (let bytes = whole; bytes >= 0; bytes -= 7) {
      truncateSync(join(dir, 'ledger.1'), bytes);
      const { ledger: prefix } = Ledger.open(dir);
      expect(prefix.fold.attempts.size).toBeLessThanOrEqual(1);
      await prefix.close();
    }
  });
});

describe('the fold', () => {
  test('forgets an attempt when it has ended and its log is stored', () => {
    for (const [isShipped, left] of [
      [true, 0],
      [false, 1],
    ] as const) {
      const fold = new LedgerFold();
      fold.apply(START);
      const script = new Script(SPEC);
      script.stop();
      fold.apply(entryOf(script, isShipped));
      expect(fold.attempts.size).toBe(left);
      fold.apply({ t: 'shipped', key: KEY });
      expect(fold.attempts.size).toBe(0);
    }
  });

  test('keeps what ended under an open stop until the stop is done', () => {
    const fold = new LedgerFold();
    const stop = { run: SPEC.run, task: null, graceMs: null, now: false, by: 'x', reason: null };
    fold.apply(START);
    fold.apply({ t: 'stop', id: 's1', seq: 6, stop });
    const script = new Script(SPEC);
    script.stop('s1');
    fold.apply(entryOf(script, true));
    expect(fold.stops.get('s1')?.ended).toMatchObject([
      { task: SPEC.task, processes: 0, proven: true },
    ]);
    fold.apply({ t: 'ack', command: 's1', isDone: true, ev: [] });
    expect(fold.stops.size).toBe(0);
    expect(fold.floors.get(SPEC.run)).toEqual({ sequence: 6, era: 0 });
    fold.apply({ t: 'dropped', run: SPEC.run });
    expect(fold.floors.size).toBe(0);
  });

  test('is bounded by what lives, and its summary is the same ledger', () => {
    const fold = new LedgerFold();
    for (let seq = 1; seq <= KNOWN_MOST; seq += 1)
      fold.apply({ t: 'rejected', id: `r${seq}`, seq });
    fold.apply({ ...START, seq: KNOWN_MOST + 1 });
    expect(fold.known.size).toBe(KNOWN_MOST);
    expect(fold.known.has('r1')).toBe(false);
    const copy = new LedgerFold();
    copy.apply({
      t: 'summary',
      ledger: JSON.parse(JSON.stringify(fold.summary())) as never,
      ev: [],
    });
    expect(copy.summary()).toEqual(fold.summary());
  });
});

describe('a stream that was made anew, or has lost its end', () => {
  const stop = { run: SPEC.run, task: null, graceMs: null, now: false, by: 'x', reason: null };
  const rejected = (seq: number, ms?: number): LedgerEntry =>
    ms === undefined
      ? { t: 'rejected', id: `r${seq}`, seq }
      : { t: 'rejected', id: `r${seq}-${ms}`, seq, ms };

  test('gives numbers again: what is younger is new, once; what is not is a repeat', async () => {
    const { ledger } = Ledger.open(dir);
    ledger.writeCommand(rejected(9, 900) as never);
    expect(ledger.fold.isRepeat('other', at(8, 800))).toBe(true);
    expect(ledger.fold.isRepeat('other', at(9, 900))).toBe(true);
    expect(ledger.fold.isRepeat('other', at(2, 1_000))).toBe(false);
    ledger.writeCommand({ t: 'stop', id: 's', seq: 2, ms: 1_000, stop });
    await ledger.close();
    const { fold } = Ledger.open(dir).ledger;
    const summed = new LedgerFold();
    const summary = JSON.parse(JSON.stringify(fold.summary())) as never;
    summed.apply({ t: 'summary', ledger: summary, ev: [] });
    for (const known of [fold, summed]) {
      expect(known.isRepeat('other', at(2, 1_000))).toBe(true);
      expect(known.isRepeat('other', at(3, 1_000))).toBe(false);
      expect(known.era).toBe(1);
      expect(restoredHost(known).floors.get(SPEC.run)).toEqual({ sequence: 2, era: 1 });
      expect(restoredHost(known).openStops).toMatchObject([{ sequence: 2, era: 1 }]);
    }
  });

  test('is not what a clock set back makes of a repeat', () => {
    const fold = new LedgerFold();
    fold.apply(rejected(8, 900));
    fold.apply(rejected(9, 700));
    expect(fold.isRepeat('forgotten', at(8, 900))).toBe(true);
    expect(fold.isRepeat('other', at(10, 710))).toBe(false);
  });

  test('a ledger of before, without times and eras, is read; its repeats are told as then', () => {
    const fold = new LedgerFold();
    const { timeMs: _timeMs, era: _era, ...summary } = new LedgerFold().summary();
    const floors = [[SPEC.run, 4] as const];
    const { command, sequence } = { command: 'c', sequence: 5 };
    const attempt = { command, sequence, afterStop: 4, priority: 0, spec: SPEC, state: null };
    const ledger = { ...summary, sequence: 5, floors, attempts: [attempt] };
    fold.apply({ t: 'summary', ledger, ev: [] });
    fold.apply(rejected(6));
    expect(restoredHost(fold)).toMatchObject({ live: [{ era: 0, sequence: 5 }] });
    expect(restoredHost(fold).floors.get(SPEC.run)).toEqual({ sequence: 4, era: 0 });
    expect(fold.isRepeat('other', at(6, 9_000))).toBe(true);
    fold.apply(rejected(7, 70));
    expect(fold.isRepeat('other', at(6, 9_000))).toBe(false);
  });
});

describe('the file', () => {
  test('a new generation begins with its summary; the older goes; a torn one is passed over', async () => {
    const { journal } = JournalFile.open({ dir, name: 'j' }, { at: 1 });
    journal.append({ n: 1 });
    expect(journal.rotate({ at: 2 })).toBe(true);
    journal.append({ n: 2 });
    await journal.close();
    expect(readdirSync(dir).sort()).toEqual(['j.2', 'j.reserve']);
    appendFileSync(join(dir, 'j.3'), '{"at":3');
    const { lines, journal: again } = JournalFile.open({ dir, name: 'j' }, { at: 0 });
    expect(lines).toEqual([{ at: 2 }, { n: 2 }]);
    await again.close();
  });

  test('has the lines of a turn when the turn is over, in order, and at once those before a flush', async () => {
    const { journal } = JournalFile.open({ dir, name: 'j' }, { at: 1 });
    const lines = (): unknown[] =>
      readFileSync(join(dir, 'j.1'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
    journal.appendSoon({ n: 1 });
    journal.appendSoon({ n: 2 });
    expect(lines()).toEqual([{ at: 1 }]);
    journal.append({ n: 3 });
    expect(lines()).toEqual([{ at: 1 }, { n: 1 }, { n: 2 }, { n: 3 }]);
    journal.appendSoon({ n: 4 });
    await Promise.resolve();
    expect(lines().at(-1)).toEqual({ n: 4 });
    journal.appendSoon({ n: 5 });
    await journal.close();
    expect(lines().at(-1)).toEqual({ n: 5 });
  });

  test('a new generation has what was written in the same turn', async () => {
    const { ledger } = Ledger.open(dir);
    const long = 'x'.repeat(1024 * 1024);
    for (let n = 0; n < 18; n += 1) {
      ledger.flush();
      ledger.write({ ...START, id: `c${n}`, padding: long } as never);
    }
    expect(readdirSync(dir)).toContain('ledger.2');
    expect(readdirSync(dir)).not.toContain('ledger.1');
    await ledger.close();
  });

  test('keeps an ended attempt while its survivors live, and counts its end once', () => {
    const fold = new LedgerFold();
    fold.apply(START);
    const order = { run: SPEC.run, task: null, graceMs: null, now: false, by: 'x', reason: null };
    fold.apply({ t: 'stop', id: 's1', seq: 6, stop: order });
    const script = new Script(SPEC);
    script.begin();
    script.stop('s1');
    const { gone } = outcomeOf(EXITED(0));
    script.end(EXITED(0), { gone: { ...gone, empty: false, survivors: [77] } });
    fold.apply(entryOf(script, true));
    expect(restoredHost(fold).live).toMatchObject([
      { stage: 'fenced', slots: [0], stopped: { survivors: [77] } },
    ]);
    script.say({ kind: 'step_gone', step: 'run-0' });
    fold.apply(entryOf(script, true));
    expect(restoredHost(fold).live).toEqual([]);
    expect(fold.attempts.size).toBe(0);
    expect(fold.stops.get('s1')?.ended).toHaveLength(1);
  });
});
