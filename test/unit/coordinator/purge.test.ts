/** When an archived run is purged: with its files, whatever other runs do. */
import { describe, expect, it } from 'vitest';
import { actOnTime } from '#coordinator/core/act.ts';
import { createCore, type Effect } from '#coordinator/core/core-state.ts';
import { createRun, type RunEntry } from '#coordinator/runs/run-state.ts';
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

function purges({ stored = true, other }: Case): Extract<Effect, { kind: 'purge' }>[] {
  const state = createCore({ epoch: 1, sequence: 1 });
  state.acting = true;
  const due = runOf(OLD, stored);
  due.ended = 'stored';
  due.purgeAtMs = 10;
  state.runs.set(OLD, due);
  if (other !== undefined) state.runs.set(OTHER, runOf(OTHER, other.stored ?? false));
  const effects: Effect[] = [];
  const context = { state, now: { wallMs: 0, monotonicMs: 20 }, effects };
  actOnTime(context);
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
