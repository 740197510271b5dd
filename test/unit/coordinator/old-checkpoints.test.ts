/** The last checkpoints of a task stay; what they replaced is removed later, unless it is in use. */
import { expect, it } from 'vitest';
import { dropOldCheckpoints, noteCheckpoint } from '#coordinator/core/ends/old-checkpoints.ts';
import { createCore, type Effect } from '#coordinator/core/core-state.ts';
import { resumeOf } from '#coordinator/runs/run-files.ts';
import { createRun, type RunEntry } from '#coordinator/runs/run-state.ts';
import { createRunFold } from '#protocol/fold/run-fold.ts';
import { applyToRun } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';

const RUN = '2026-02-13_14-30-45-k3f9';
const checkpointRules = { everyMs: 1000, keep: 2, maxBytes: 100 };

class Case {
  readonly state = createCore({ epoch: 1, sequence: 1 });
  readonly run: RunEntry;
  readonly effects: Effect[] = [];
  readonly tasks: readonly string[];
  #sequence = 1;

  constructor() {
    const suite = { ...goldenSuite, checkpointRules };
    const submitted = { ...goldenMessages['run.submitted'], suite };
    this.run = { ...createRun(RUN, submitted, 7), fold: createRunFold(RUN) };
    this.state.runs.set(RUN, this.run);
    applyToRun(this.run.fold, this.#record(subjects.run(RUN), 'run.submitted', submitted));
    this.tasks = this.run.listed.map(({ id }) => id);
  }

  #record(subject: string, name: string, data: unknown): EventRecord {
    this.#sequence += 1;
    const message = { name, data, epoch: null, incarnation: 1 };
    return { subject, sequence: this.#sequence, timeMs: 0, message } as never;
  }

  accept(task: string, n: number, agent: string): void {
    const accepted = { elapsedMs: 0, command: 'c', host: 'h', address: 'a' };
    const subject = subjects.attemptEvents(agent, { run: RUN, task, n });
    applyToRun(this.run.fold, this.#record(subject, 'attempt.accepted', accepted));
  }

  stored(at: { task: string; n: number; agent: string }, number: number, hash: string): void {
    const ref = { run: RUN, task: at.task, n: at.n };
    const file = { kind: 'checkpoint', path: 's', sha256: hash, bytes: 1, chunks: 1 };
    const data = { elapsedMs: number, number, keep: 2, files: [file] };
    const record = this.#record(
      subjects.attemptEvents(at.agent, ref),
      'attempt.checkpointed',
      data,
    );
    noteCheckpoint(this.#at(0), this.run, { ref, record });
  }

  #at(monotonicMs: number): Parameters<typeof dropOldCheckpoints>[0] {
    return { state: this.state, now: { wallMs: 0, monotonicMs }, effects: this.effects };
  }

  /** Hashes of what is removed at this time. */
  dropped(monotonicMs: number): string[] {
    dropOldCheckpoints(this.#at(monotonicMs));
    return this.effects
      .splice(0)
      .flatMap((effect) => (effect.kind === 'drop_files' ? effect.files : []))
      .map(({ agent, sha256 }) => `${agent}/${sha256}`);
  }
}

it('keeps the last of all attempts of a task, and hands them on, newest first', () => {
  const mesh = new Case();
  const [task = ''] = mesh.tasks;
  mesh.accept(task, 1, 'a1');
  for (const number of [1, 2, 3]) mesh.stored({ task, n: 1, agent: 'a1' }, number, `h${number}`);
  mesh.accept(task, 2, 'a2');
  mesh.stored({ task, n: 2, agent: 'a2' }, 1, 'h4');
  expect(mesh.dropped(10_000)).toEqual([]);
  expect(mesh.dropped(31_000).sort()).toEqual(['a1/h1', 'a1/h2']);
  expect(mesh.dropped(90_000)).toEqual([]);
  const entry = mesh.run.tasks.get(task);
  if (entry === undefined) throw new Error('no task');
  entry.n = 3;
  expect(resumeOf(mesh.run, entry).map(({ n, number, agent }) => [n, number, agent])).toEqual([
    [2, 1, 'a2'],
    [1, 3, 'a1'],
  ]);
});

it('removes nothing that another task refers to, or that is the newest again', () => {
  const mesh = new Case();
  const [one = '', other = ''] = mesh.tasks;
  for (const task of [one, other]) mesh.accept(task, 1, 'a1');
  mesh.stored({ task: other, n: 1, agent: 'a1' }, 1, 'shared');
  for (const [i, hash] of ['shared', 'x', 'y', 'x'].entries())
    mesh.stored({ task: one, n: 1, agent: 'a1' }, i + 1, hash);
  expect(mesh.dropped(31_000)).toEqual([]);
});
