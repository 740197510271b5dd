/** When an archived run is purged: with its files, whatever other runs do. */
import { describe, expect, it } from 'vitest';
import { actOnTime } from '#coordinator/core/act.ts';
import {
  CORE_TIMING,
  createCore,
  type CoreMessage,
  type CoreState,
  type Effect,
} from '#coordinator/core/core-state.ts';
import { update } from '#coordinator/core/core-reducer.ts';
import { createRun, type RunEntry } from '#coordinator/runs/run-state.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { Now } from '#protocol/runtime/clock.ts';
import { filters, parseSubject, subjects } from '#protocol/messages/subjects.ts';
import { createAttemptFold } from '#protocol/fold/attempt-fold.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';

const [OLD, OTHER] = ['2026-02-13_14-30-45-k3f9', '2026-02-13_14-31-00-m2b7'];
const file = { kind: 'result', path: 'o', sha256: 'a'.repeat(64), bytes: 1, chunks: 1 } as const;

interface Case {
  /** Whether the run that is due has stored a file. */
  readonly stored?: boolean;
  /** A live run on the same agent that stores files. */
  readonly other?: { stored?: boolean };
}

function runOf(id: string, stored: boolean): RunEntry {
  const suite = { ...goldenSuite, files: ['o'], checkpoints: [] };
  const run = createRun(id, { ...goldenMessages['run.submitted'], suite }, 7);
  run.agents.add('a1');
  if (!stored) return run;
  const accepted = { host: 'box', address: '127.0.0.1', elapsedMs: 0, timeMs: 0 };
  const attempt = createAttemptFold(1, 'a1', accepted);
  attempt.files.push(file);
  const plan = run.listed[0];
  if (plan === undefined) throw new Error('the golden suite has no task');
  run.fold.tasks.set(plan.id, { attempts: [attempt] } as never);
  return run;
}

/** An archived run that may be purged. */
function dueRun({ stored = true, other }: Case = {}): { state: CoreState } {
  const state = createCore({ epoch: 1, sequence: 1 });
  state.acting = true;
  const due = runOf(OLD, stored);
  due.ended = 'stored';
  due.archived = 'stored';
  due.purgeAtMs = 10;
  state.runs.set(OLD, due);
  if (other !== undefined) state.runs.set(OTHER, runOf(OTHER, other.stored ?? false));
  return { state };
}

function purges(input: Case): Extract<Effect, { kind: 'purge' }>[] {
  const effects: Effect[] = [];
  actOnTime({ ...dueRun(input), now: { wallMs: 0, monotonicMs: 20 }, effects });
  return effects.filter((effect) => effect.kind === 'purge');
}

const mine = { agent: 'a1', sha256: file.sha256 };

describe('the purge of a run', () => {
  it.each<[string, Case, readonly (readonly (typeof mine)[])[]]>([
    ['alone: with its files', {}, [[mine]]],
    ['beside a live run on the same agent that stores files', { other: {} }, [[mine]]],
    ['beside one that has stored the same', { other: { stored: true } }, [[mine]]],
    ['without files', { stored: false, other: {} }, [[]]],
  ])('%s', (_name, input, files) => {
    expect(purges(input).map((effect) => effect.files)).toEqual(files);
  });
});

it('takes what an agent has told of after the end, which is no part of the run', () => {
  const { state } = dueRun();
  const run = state.runs.get(OLD);
  if (run === undefined) throw new Error('no run');
  run.fold.state = 'ended';
  const late = { ...file, sha256: 'b'.repeat(64) };
  const data = { elapsedMs: 0, id: 'c', by: 'ann', files: [late], lost: [] };
  const subject = subjects.attemptEvents('a1', { run: OLD, task: 't', n: 1 });
  const message = { name: 'attempt.collected', data, id: 's' };
  const record = { subject, sequence: 9, timeMs: 0, message } as never;
  update(state, { kind: 'event', record }, { wallMs: 0, monotonicMs: 5 });
  const [, effects] = update(state, { kind: 'tick' }, { wallMs: 0, monotonicMs: 20 });
  const purge = effects.find((effect) => effect.kind === 'purge');
  const hashes = purge?.files.map(({ sha256 }) => sha256).sort();
  expect(hashes).toEqual([file.sha256, late.sha256]);
});

describe('a stop of a run that was archived', () => {
  const at = (monotonicMs: number): Now => ({ wallMs: 0, monotonicMs });
  const { purgeAfterMs, strayAfterMs } = CORE_TIMING;
  const tell = (state: CoreState, message: CoreMessage, monotonicMs: number): string[] =>
    update(state, message, at(monotonicMs))[1].map((effect) =>
      effect.kind === 'publish' ? effect.name : effect.kind,
    );
  const record = (subject: string, name: string, data: object): EventRecord =>
    ({ subject, sequence: 9, timeMs: 0, message: { name, data, id: 's' } }) as never;
  const order = { run: OLD, task: null, graceMs: null, now: false, by: 'u@h', reason: null };
  const stop: CoreMessage = {
    kind: 'command',
    record: record(subjects.stop(), 'command.stop', order),
  };

  it('is closed and deleted before the run is purged', () => {
    const { state } = dueRun();
    expect(tell(state, stop, 15)).toEqual(['run.stop_closed']);
    expect(tell(state, { kind: 'tick' }, 20)).not.toContain('purge');
    const closed = record(subjects.run(OLD), 'run.stop_closed', { command: 's', result: 'dead' });
    expect(tell(state, { kind: 'event', record: closed }, 25)).toEqual(['delete_stop']);
    expect(tell(state, { kind: 'tick' }, 30)).toContain('purge');
  });

  it('that is being purged is deleted, and nothing more is said on the subject of the run', () => {
    for (const purged of [true, false]) {
      const { state } = dueRun();
      expect(tell(state, { kind: 'tick' }, 20)).toContain('purge');
      expect(tell(state, stop, 25)).toEqual([]);
      if (purged) tell(state, { kind: 'purged', run: OLD }, 26);
      expect(tell(state, { kind: 'tick' }, 30)).not.toContain('delete_stop');
      const later = 30 + Math.max(strayAfterMs, purgeAfterMs);
      expect(tell(state, { kind: 'tick' }, later)).toContain('delete_stop');
    }
  });
});

describe('an acknowledgement that comes after the purge of its run', () => {
  it.each([
    ['command.received', { kind: 'stop', attempts: 0, run: OLD }],
    ['command.stop_done', { run: OLD, task: null, attempts: [] }],
  ] as const)('%s goes with the next sweep, also under a new leader', (name, data) => {
    const state = createCore({ epoch: 1, sequence: 1 });
    state.acting = true;
    const said = { subject: subjects.ack('a1', 's1'), sequence: 9, timeMs: 0 };
    const record = { ...said, message: { name, data, id: 'e' } } as never;
    update(state, { kind: 'event', record }, { wallMs: 0, monotonicMs: 5 });
    const now = { wallMs: 0, monotonicMs: 5 + CORE_TIMING.purgeAfterMs };
    const [, effects] = update(state, { kind: 'tick' }, now);
    expect(effects.find(({ kind }) => kind === 'sweep')).toMatchObject({ commands: ['s1'] });
  });
});

describe('a stored file', () => {
  it('is under its run, so that no other run counts on it', () => {
    const subject = subjects.file('a1', { run: OLD, sha256: file.sha256 }, 3);
    const found = { kind: 'file', agent: 'a1', run: OLD, sha256: file.sha256, chunk: 3 };
    expect(parseSubject(subject)).toEqual(found);
    expect(subjects.file('a1', { run: OTHER, sha256: file.sha256 }, 3)).not.toBe(subject);
    const chunks = filters.chunksOf('a1', { run: OLD, sha256: file.sha256 });
    expect(subject.startsWith(chunks.slice(0, -1))).toBe(true);
  });
});
