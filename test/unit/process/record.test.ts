/** From a record's lines to an outcome. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  failureOf,
  notStartedOutcome,
  outcomeOf,
  signalName,
} from '#agent/process/record/step-outcome.ts';
import { parseRecord, readRecord } from '#agent/process/record/step-record.ts';

const STARTED = '{"type":"started","pid":7,"startTime":1,"bootId":"b","cookie":"c"}\n';
const EXITED =
  '{"type":"exited","code":3,"durationUs":1500,"userUs":1000,"systemUs":500,"maxRssKiB":64,"stopRequested":false,"deadline":false}\n';
const gone = (more = ''): string =>
  `{"type":"gone","empty":true,"reaped":2,"processes":4,"waves":1,"signal":9,"goneUs":2500,"stopRequested":true,"deadline":false,"logBytes":10,"droppedStdout":1,"droppedStderr":2${more}}\n`;

describe('a record', () => {
  it('has no outcome before its last line', () => {
    expect(outcomeOf(parseRecord(''))).toBeNull();
    expect(outcomeOf(parseRecord(STARTED))).toBeNull();
    expect(outcomeOf(parseRecord(STARTED + EXITED))).toBeNull();
  });

  it('gives the outcome, in milliseconds and names', () => {
    expect(outcomeOf(parseRecord(STARTED + EXITED + gone()))).toEqual({
      end: { kind: 'exited', code: 3 },
      deadline: false,
      stopRequested: true,
      durationMs: 1.5,
      usage: { userMs: 1, systemMs: 0.5, maxRssKiB: 64 },
      gone: {
        proof: 'subreaper',
        empty: true,
        processes: 4,
        reaped: 2,
        waves: 1,
        survivors: [],
        signal: 'SIGKILL',
        goneMs: 2.5,
      },
      oomKills: null,
      logBytes: 10,
      droppedBytes: 3,
    });
  });

  it.each([
    ['a torn last line', STARTED + EXITED + gone().slice(0, -3)],
    ['a torn line that ends in one of another type', `${STARTED}${EXITED}{"type":"go\n`],
    ['padding', `${STARTED}${EXITED}\0\0\0\0\n`],
    ['a line of a later version', `${STARTED}${EXITED}{"type":"thawed"}\n`],
  ])('leaves out %s', (_, text) => {
    const record = parseRecord(text);
    expect(record.exited?.code).toBe(3);
    expect(outcomeOf(record)).toBeNull();
  });

  it('is not believed in the folder of another step', () => {
    const root = mkdtempSync(join(tmpdir(), 'benchmesh-record-'));
    const of = (step: string): string => STARTED.replace('}', `,"step":"${step}"}`);
    for (const [run, lines] of [
      ['before', of('before/t.1.step.run')],
      ['after', of('before/t.1.step.run')],
      ['older', STARTED],
    ] as const) {
      const dir = join(root, run, 't.1.step.run');
      mkdirSync(dir, { recursive: true });
      writeFileSync(join(dir, 'record'), lines);
      expect(readRecord(dir)?.started?.pid).toBe(run === 'after' ? undefined : 7);
    }
    rmSync(root, { recursive: true });
  });

  it('says that its cgroup proved it, and what the kernel killed in it', () => {
    const lines = STARTED + EXITED + gone(',"proof":"cgroup","oomKills":2');
    expect(outcomeOf(parseRecord(lines))).toMatchObject({
      gone: { proof: 'cgroup', empty: true },
      oomKills: 2,
    });
  });

  it('names its cgroup as the path it is, and that as what survivors are proven by', () => {
    const started = STARTED.replace('}', ',"cgroup":"/cg/\\u00c3\\u00a4/step.1.2"}');
    expect(parseRecord(started).started?.cgroup).toBe('/cg/ä/step.1.2');
    const survivors = '{"type":"survivors","count":1,"pids":[8]}\n';
    expect(outcomeOf(parseRecord(started + survivors))?.gone).toMatchObject({
      proof: 'cgroup',
      empty: false,
      survivors: [8],
    });
  });

  it('has an outcome with survivors before it is complete', () => {
    const lines = `${STARTED}{"type":"stopping","stopRequested":true,"deadline":false,"signal":15}\n{"type":"survivors","count":2,"pids":[8,9]}\n`;
    expect(outcomeOf(parseRecord(lines))).toMatchObject({
      end: { kind: 'lost' },
      stopRequested: true,
      gone: { empty: false, survivors: [8, 9] },
    });
    expect(outcomeOf(parseRecord(lines + EXITED + gone()))).toMatchObject({
      end: { kind: 'exited' },
      gone: { empty: true },
    });
  });

  it('is lost where an agent had to end it, and never proven by a scan', () => {
    const line = gone(',"proof":"scan","reason":"why"').replace('"empty":true', '"empty":false');
    expect(outcomeOf(parseRecord(`${STARTED}\n${line}`))).toMatchObject({
      end: { kind: 'lost', reason: 'why' },
      durationMs: null,
      usage: null,
      gone: { proof: 'scan', empty: false },
    });
  });

  it('keeps an end that was recorded before meshrun died', () => {
    const line = gone(',"proof":"scan","reason":"why"');
    expect(outcomeOf(parseRecord(STARTED + EXITED + line))?.end).toEqual({
      kind: 'exited',
      code: 3,
    });
  });
});

describe('a program that could not be run', () => {
  const failed = { type: 'exec_failed', errno: 2, stage: 'exec', path: '/a' } as const;

  it.each([
    ['not-found', 'program not found: /a'],
    ['interpreter-missing', 'the interpreter or loader that /a names does not exist'],
    ['not-executable', 'not executable: /a'],
    ['corrupt', 'corrupt binary, or one for another machine: /a'],
    ['no-interpreter-line', 'neither a binary nor a script with a #! line: /a'],
  ])('is described in one line: %s', (reason, message) => {
    expect(failureOf({ ...failed, reason })).toEqual({
      kind: 'exec_failed',
      errno: 'ENOENT',
      reason,
      message,
    });
  });

  it('is described where the reason is a new one, and with a path that is not ASCII', () => {
    const path = Buffer.from('/ü').toString('latin1');
    expect(failureOf({ ...failed, errno: 80, reason: 'odd', path })).toEqual({
      kind: 'exec_failed',
      errno: 'ELIBBAD',
      reason: 'other',
      message: 'could not execute /ü: ELIBBAD',
    });
  });

  it('left nothing behind', () => {
    expect(notStartedOutcome('EAGAIN', 'supervision', 'm')).toMatchObject({
      end: { kind: 'exec_failed', errno: 'EAGAIN', message: 'm' },
      gone: { empty: true, processes: 0 },
    });
  });
});

it('names signals as the shell does', () => {
  expect([6, 9, 15, 29, 40].map(signalName)).toEqual([
    'SIGABRT',
    'SIGKILL',
    'SIGTERM',
    'SIGIO',
    'SIG40',
  ]);
});
