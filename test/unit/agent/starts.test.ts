/** Several starts in one command, as an agent takes them: from the mailbox to its journal and its host. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CommandIntake } from '#agent/host/command-intake.ts';
import type { HostMessage } from '#agent/host/host-state.ts';
import { restoredHost } from '#agent/host/restore.ts';
import type { EventSink } from '#agent/state/event-sink.ts';
import { Ledger } from '#agent/state/ledger.ts';
import { encode } from '#protocol/messages/envelope.ts';
import type { StartsCommand } from '#protocol/messages/run/command.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MailMessage } from '#protocol/nats/agents/mailbox.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { specOf } from './attempt-cases.ts';
import { play } from './host-cases.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'benchmesh-starts-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const { run } = specOf(['run']);
type One = StartsCommand['starts'][number];

const one = (task: string): One => ({
  id: `${run}_${task}_1`,
  spec: specOf(['run'], { task }),
  afterStop: 0,
  priority: 0,
});

function mailOf(sequence: number, starts: readonly One[], id = `c${sequence}`): MailMessage {
  const data = { starts: [...starts] };
  const bytes = { name: 'command.starts', data, id, timeMs: 0, writer: { source: '/c' } } as const;
  const subject = subjects.command('a1', 'start', run);
  const of = { subject, sequence, timeMs: sequence * 10, redelivered: false };
  return { ...of, data: encode(bytes) };
}

function agentOf(ledger: Ledger): {
  intake: CommandIntake;
  posted: HostMessage[];
  told: unknown[];
} {
  const posted: HostMessage[] = [];
  const told: unknown[] = [];
  const sink = {
    tell: (_subject: string, name: string, data: object) => told.push({ name, ...data }),
  };
  const deps = { agent: 'a1', sink: sink as unknown as EventSink, log: silentLog, ledger };
  return { intake: new CommandIntake(deps, (message) => posted.push(message)), posted, told };
}

const tasks = (posted: readonly HostMessage[]): string[] =>
  posted.flatMap((message) => (message.kind === 'start' ? [message.spec.task] : []));

describe('several starts in one command', () => {
  test('are journalled as one line, and each is a start of its own', async () => {
    const { ledger } = Ledger.open(dir);
    const { intake, posted } = agentOf(ledger);
    expect(intake.onMail(mailOf(5, [one('c'), one('a'), one('b')]))).toBe('ack');
    expect(posted).toMatchObject([
      { kind: 'start', command: `${run}_c_1`, sequence: 5, place: 0 },
      { kind: 'start', command: `${run}_a_1`, sequence: 5, place: 1 },
      { kind: 'start', command: `${run}_b_1`, sequence: 5, place: 2 },
    ]);
    await ledger.close();
    const lines = readFileSync(join(dir, 'ledger.1'), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(2); // the summary that it begins with
    const { ledger: again } = Ledger.open(dir);
    expect([...again.fold.attempts.values()].map(({ command }) => command)).toEqual(
      ['c', 'a', 'b'].map((task) => `${run}_${task}_1`),
    );
    await again.close();
  });

  test('that come again run nothing twice, under the id of their command or another', async () => {
    const { ledger } = Ledger.open(dir);
    const { intake, posted } = agentOf(ledger);
    intake.onMail(mailOf(5, [one('a'), one('b')]));
    intake.onMail(mailOf(5, [one('a'), one('b')]));
    intake.onMail(mailOf(9, [one('a'), one('b')], 'c5'));
    intake.onMail(mailOf(10, [one('b'), one('c')]));
    expect(tasks(posted)).toEqual(['a', 'b', 'c']);
    await ledger.close();
    const { ledger: again } = Ledger.open(dir);
    const next = agentOf(again);
    next.intake.onMail(mailOf(5, [one('a'), one('b')]));
    next.intake.onMail(mailOf(10, [one('b'), one('c')]));
    expect(next.posted).toEqual([]);
    await again.close();
  });

  test('are all known after a crash, or none of them and they come again', async () => {
    const { ledger } = Ledger.open(dir);
    const { intake } = agentOf(ledger);
    intake.onMail(mailOf(5, [one('a')]));
    await ledger.close();
    const file = join(dir, 'ledger.1');
    const before = readFileSync(file).length;
    const { ledger: second } = Ledger.open(dir);
    agentOf(second).intake.onMail(mailOf(6, [one('b'), one('c'), one('d')]));
    await second.close();
    const whole = readFileSync(file).length;
    const line = readFileSync(file);
    for (let bytes = before; bytes <= whole; bytes += 50) {
      writeFileSync(file, line.subarray(0, bytes));
      const { ledger: torn } = Ledger.open(dir);
      const { intake: reader, posted } = agentOf(torn);
      const known = [...torn.fold.attempts.values()].map(({ spec }) => spec.task);
      expect(known).toEqual(['a']);
      reader.onMail(mailOf(6, [one('b'), one('c'), one('d')]));
      expect(tasks(posted)).toEqual(['b', 'c', 'd']);
      await torn.close();
    }
  });

  test('run in the order of the command, after a restart too', async () => {
    const { ledger } = Ledger.open(dir);
    const { intake, posted } = agentOf(ledger);
    intake.onMail(mailOf(5, ['d', 'c', 'b', 'a'].map(one)));
    const begun = (effects: ReturnType<typeof play>['effects']): string[] =>
      effects.flatMap((effect) => (effect.kind === 'begin' ? [effect.key] : []));
    expect(begun(play(posted).effects)).toEqual([`${run}/d#1`, `${run}/c#1`]);
    const restored = restoredHost(ledger.fold);
    const back = play([{ kind: 'restore', restored }, { kind: 'mail_read' }]);
    expect(begun(back.effects)).toEqual(begun(play(posted).effects));
    await ledger.close();
  });

  test('of which one cannot be read: it is reported, and the others run', async () => {
    const { ledger } = Ledger.open(dir);
    const { intake, posted, told } = agentOf(ledger);
    const torn = { ...one('b'), afterStop: -1 };
    const strange = { ...one('s'), spec: specOf(['run'], { run: '2026-01-02_03-04-05-zzzz' }) };
    const mail = mailOf(5, [one('a'), torn, one('c'), strange]);
    expect(intake.onMail(mail)).toBe('ack');
    intake.onMail(mail);
    expect(tasks(posted)).toEqual(['a', 'c']);
    expect(told).toMatchObject([
      {
        name: 'message.rejected',
        sequence: 5,
        type: 'benchmesh.command.v1.starts',
        reason: expect.stringMatching(/^start \S+_b_1: afterStop: /) as string,
      },
      { reason: `start ${run}_s_1: the run differs from the subject` },
    ]);
    await ledger.close();
  });

  test('wait for room on the disk, and are not known until then', async () => {
    const { ledger } = Ledger.open(dir);
    const full = { fold: ledger.fold, writeCommand: () => false };
    const { intake, posted } = agentOf(full as unknown as Ledger);
    expect(() => intake.onMail(mailOf(5, [one('a'), one('b')]))).toThrow('full');
    expect(posted).toEqual([]);
    expect(ledger.fold.attempts.size).toBe(0);
    await ledger.close();
  });
});
