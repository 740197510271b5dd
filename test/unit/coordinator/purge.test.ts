/** When an archived run is purged: its files are named by their content, others may count on them. */
import { describe, expect, it } from 'vitest';
import { actOnTime } from '#coordinator/core/act.ts';
import { createCore, type Effect } from '#coordinator/core/core-state.ts';
import { createRun, type RunEntry } from '#coordinator/runs/run-state.ts';
import { createAttemptFold } from '#protocol/fold/attempt-fold.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';

const [OLD, OTHER] = ['2026-02-13_14-30-45-k3f9', '2026-02-13_14-31-00-m2b7'];
const file = { kind: 'result', path: 'o', sha256: 'a'.repeat(64), bytes: 1, chunks: 1 } as const;

interface Case {
  /** Whether the run that is due has stored a file. */
  readonly stored?: boolean;
  readonly other?: {
    agent?: string;
    ended?: RunEntry['ended'];
    files?: string[];
    stored?: boolean;
  };
}

function runOf(id: string, input: { agent: string; files: string[]; stored: boolean }): RunEntry {
  const suite = { ...goldenSuite, files: input.files, checkpoints: [] };
  const run = createRun(id, { ...goldenMessages['run.submitted'], suite }, 7);
  run.agents.add(input.agent);
  if (!input.stored) return run;
  const accepted = { host: 'box', address: '127.0.0.1', elapsedMs: 0, timeMs: 0 };
  const attempt = createAttemptFold(1, input.agent, accepted);
  attempt.files.push(file);
  const plan = run.listed[0];
  if (plan === undefined) throw new Error('the golden suite has no task');
  run.fold.tasks.set(plan.id, { attempts: [attempt] } as never);
  return run;
}

function purges({ stored = true, other }: Case): Extract<Effect, { kind: 'purge' }>[] {
  const state = createCore({ epoch: 1, sequence: 1 });
  state.acting = true;
  const due = runOf(OLD, { agent: 'a1', files: ['o'], stored });
  due.ended = 'stored';
  due.purgeAtMs = 10;
  state.runs.set(OLD, due);
  if (other !== undefined) {
    const { agent = 'a1', ended = 'no', files = ['o'] } = other;
    const run = runOf(OTHER, { agent, files, stored: other.stored ?? false });
    run.ended = ended;
    state.runs.set(OTHER, run);
  }
  const effects: Effect[] = [];
  const context = { state, now: { wallMs: 0, monotonicMs: 20 }, effects };
  actOnTime(context);
  return effects.filter((effect) => effect.kind === 'purge');
}

const mine = { agent: 'a1', sha256: file.sha256 };

describe('the purge of a run', () => {
  it.each<[string, Case, readonly (readonly (typeof mine)[])[]]>([
    ['alone: with its files', {}, [[mine]]],
    ['waits for a live run on the same agent', { other: {} }, []],
    ['waits until the end of that is stored', { other: { ended: 'asked' } }, []],
    ['goes on when that has ended', { other: { ended: 'stored' } }, [[mine]]],
    ['leaves what that has stored too', { other: { ended: 'stored', stored: true } }, [[]]],
    ['a live run elsewhere is no reason', { other: { agent: 'a2' } }, [[mine]]],
    ['nor one that stores no files', { other: { files: [] } }, [[mine]]],
    ['nor any, where there are no files', { stored: false, other: {} }, [[]]],
  ])('%s', (_name, input, files) => {
    expect(purges(input).map((effect) => effect.files)).toEqual(files);
  });
});
