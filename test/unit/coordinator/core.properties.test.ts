import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyToRun, createRunFold } from '#protocol/fold/run-fold.ts';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import { needsHistory } from '#protocol/suite/task-order.ts';
import { isPaused } from '#coordinator/runs/run-reducer.ts';
import { taskEnds } from '#test/support/task-ends.ts';
import { Miniature } from './miniature.ts';

const RUNS = ['2026-02-13_14-30-45-aaaa', '2026-02-13_14-30-46-bbbb'] as const;

const ANNOUNCED = new Set<string>([
  'run.stopping',
  'run.task_stopping',
  'run.task_requeued',
  'run.paused',
]);

/** What may happen next: each is one small step of one party. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('store' as const), choice: fc.nat(20) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('event' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('command' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('agent' as const),
      choice: fc.nat(3),
      again: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('passed' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('history' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('exit' as const),
      choice: fc.nat(9),
      outcome: fc.constantFrom(
        'passed' as const,
        'failed' as const,
        'failed' as const,
        'timed_out' as const,
      ),
      twice: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leader' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      run: fc.constantFrom(...RUNS),
      priority: fc.integer({ min: -2, max: 2 }),
      maxParallel: fc.option(fc.integer({ min: 1, max: 3 }), { nil: null }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('later' as const), ms: fc.nat(400) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cordon' as const), at: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('stop' as const),
      run: fc.constantFrom(...RUNS),
      index: fc.option(fc.nat(5), { nil: null }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('pause' as const, 'resume' as const, 'requeue' as const),
      run: fc.constantFrom(...RUNS),
      index: fc.option(fc.nat(5), { nil: null }),
    }),
  },
);

const ORDERS = [
  { by: 'random' as const, seed: 7 },
  { by: 'failed-first' as const },
  { by: 'longest-first' as const },
];

const world = fc.record({
  agents: fc.array(
    fc.record({
      slots: fc.integer({ min: 1, max: 3 }),
      hostId: fc.constantFrom('h1', 'h2'),
      reads: fc.constantFrom(['command.starts'], ['command.starts'], []),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  tasks: fc.integer({ min: 1, max: 12 }),
  exclusive: fc.boolean(),
  retries: fc.integer({ min: 0, max: 2 }),
  maxParallel: fc.option(fc.integer({ min: 1, max: 2 }), { nil: null }),
  order: fc.option(fc.constantFrom(...ORDERS), { nil: undefined }),
  priorityBy: fc.option(fc.constant({ item: { 0: -1, 3: 2, 4: 1 } }), { nil: undefined }),
  runBudgetMs: fc.option(fc.integer({ min: 1, max: 1_000 }), { nil: undefined }),
  steps: fc.array(step, { maxLength: 200, size: 'max' }),
});

function play(input: typeof world extends fc.Arbitrary<infer T> ? T : never): Miniature {
  const mesh = new Miniature(input.agents);
  const axes = { item: Array.from({ length: input.tasks }, (_, at) => at) };
  const needs = (exclusive: boolean) => ({ slots: 1, cpus: 0, exclusive });
  const { retries, maxParallel } = input;
  const first = {
    axes,
    needs: needs(input.exclusive),
    retries: { exit: retries },
    maxParallel,
    ...(input.runBudgetMs === undefined ? {} : { runBudgetMs: input.runBudgetMs }),
    ...(input.order === undefined ? {} : { order: input.order }),
    ...(input.priorityBy === undefined ? {} : { priorityBy: input.priorityBy }),
  };
  const basis = needsHistory(input.order) ? 'there' : undefined;
  mesh.histories.set('there', new Map());
  mesh.submit(RUNS[0], first, { basis });
  mesh.submit(RUNS[1], {
    axes,
    needs: needs(false),
    priority: 1,
    retries: { exit: 1, timeout: 2 },
  });
  while (mesh.storeOne(0)); // both are stored: their submitters have been told so
  for (const one of input.steps) {
    switch (one.kind) {
      case 'store':
        mesh.storeOne(one.choice);
        break;
      case 'event':
        mesh.readEvent();
        break;
      case 'command':
        mesh.readCommand();
        break;
      case 'agent':
        mesh.agentReads(one.choice, one.again);
        break;
      case 'history':
        mesh.readHistory();
        break;
      case 'passed':
        mesh.sayPassed();
        break;
      case 'exit':
        mesh.agentExits(one.choice, one.outcome, one.twice);
        break;
      case 'change':
        mesh.change(one.run, { priority: one.priority, maxParallel: one.maxParallel });
        break;
      case 'cordon':
        mesh.cordon(`a${one.at % mesh.agents.length}`, one.at > 2);
        break;
      case 'leader':
        mesh.lead();
        break;
      case 'later':
        mesh.later(one.ms);
        break;
      case 'stop':
      case 'pause':
      case 'requeue':
      case 'resume': {
        const tasks = [...(mesh.core.runs.get(one.run)?.tasks.keys() ?? [])];
        mesh[one.kind](
          one.run,
          one.index === null ? null : (tasks[one.index % Math.max(1, tasks.length)] ?? null),
        );
        break;
      }
    }
  }
  mesh.settle();
  for (const { id } of mesh.agents) mesh.cordon(id, true);
  mesh.settle();
  return mesh;
}

/** What is paused is resumed in the end: else it waits for ever, as it should. */
function playToEnd(input: Parameters<typeof play>[0]): Miniature {
  const mesh = play(input);
  for (const run of RUNS) mesh.resume(run, null);
  mesh.settle();
  return mesh;
}

describe('whatever the order, the lag, the repeats and the deaths of leaders', () => {
  it('every task ends exactly once, every stop is closed, every run is archived (I4, I5)', () => {
    fc.assert(
      fc.property(world, (input) => {
        const mesh = playToEnd(input);
        for (const run of RUNS) {
          const ends = taskEnds(mesh.events.filter(({ subject }) => subject.includes(run)));
          expect(ends).toHaveLength(input.tasks);
          expect(new Set(ends).size).toBe(input.tasks);
          const ended = mesh.events.filter(
            ({ subject, message }) => message.name === 'run.ended' && subject.includes(run),
          );
          expect(ended).toHaveLength(1);
          expect(mesh.archived).toContain(run);
        }
        expect(mesh.commands.filter((record) => record?.message.name === 'command.stop')).toEqual(
          [],
        );
      }),
      { numRuns: 500 },
    );
  });

  it('capacity is never exceeded, and nothing starts under a stop that was read (I6)', () => {
    fc.assert(
      fc.property(world, (input) => {
        expect(playToEnd(input).problems).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('no attempt begins twice, and none after its stop was acknowledged or closed (I5, I6)', () => {
    fc.assert(
      fc.property(world, (input) => {
        const mesh = playToEnd(input);
        const begun = mesh.agents.flatMap((agent) => agent.begun);
        expect(new Set(begun).size).toBe(begun.length);
        const over = new Set<string>();
        const ofRun = new Map<string, boolean>();
        for (const { message, subject } of mesh.events) {
          const [, , , , agent = '', run = ''] = subject.split('.');
          // Of an acknowledgement the command's id stands where attempts have their run.
          const isPause = run.startsWith('pause');
          if (message.name === 'command.stop_done' && message.data.task === null && !isPause)
            over.add(`${agent}/${message.data.run}`);
          if (message.name === 'run.stopping') ofRun.set(message.data.command, true);
          if (message.name === 'run.stop_closed' && ofRun.has(message.data.command))
            over.add(agent);
          if (message.name !== 'attempt.accepted') continue;
          expect(over.has(`${agent}/${run}`) || over.has(run)).toBe(false);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('what is paused does not end by that and begins no more until it is resumed', () => {
    fc.assert(
      fc.property(world, (input) => {
        const steps = input.steps.filter(({ kind }) => kind !== 'stop');
        // A budget of the run would stop it.
        const mesh = play({ ...input, steps, runBudgetMs: undefined });
        expect(mesh.problems).toEqual([]);
        for (const run of RUNS) {
          const entry = mesh.core.runs.get(run);
          const left = entry?.listed.filter(({ phase }) => phase !== 'ended') ?? [];
          // At rest: what is left is paused, all of it, and nothing of it runs anywhere.
          for (const task of left) {
            expect(task.phase).toBe('pending');
            expect(entry !== undefined && isPaused(entry, task)).toBe(true);
          }
          expect(entry?.counts.stopped ?? 0).toBe(0);
          const view = entry === undefined ? null : runView(entry.fold);
          const ofRun = entry !== undefined && entry.pauseSequence > entry.resumedSequence;
          expect(view?.state === 'paused').toBe(ofRun && left.length > 0);
          for (const task of entry?.listed ?? []) {
            const fold = entry?.fold.tasks.get(task.id);
            if (entry === undefined || fold === undefined) continue;
            const isHeld = task.phase !== 'ended' && isPaused(entry, task);
            expect(taskView(entry.fold, fold).paused !== null).toBe(isHeld);
          }
        }
        // The next leader knows it, too, although the pauses are closed and their messages gone.
        mesh.lead();
        mesh.settle();
        expect(mesh.problems).toEqual([]);
        for (const run of RUNS) mesh.resume(run, null);
        mesh.settle();
        for (const run of RUNS) expect(mesh.archived).toContain(run);
      }),
      { numRuns: 500 },
    );
  });

  it('nothing begins between the proof of a pause and its resume (I5)', () => {
    fc.assert(
      fc.property(world, (input) => {
        const mesh = playToEnd(input);
        const sequences = new Map<string, number>();
        for (const { message } of mesh.events)
          if (message.name === 'run.paused')
            sequences.set(message.data.command, message.data.stopSequence);
        // By agent and target, and by target: the newest pause that is proven, that was resumed.
        const [proven, resumed] = [new Map<string, number>(), new Map<string, number>()];
        const newest = (of: Map<string, number>, ...keys: string[]): number =>
          Math.max(0, ...keys.map((key) => of.get(key) ?? 0));
        for (const { message, subject } of mesh.events) {
          const [, , , , agent = '', run = '', task = ''] = subject.split('.');
          // Of an acknowledgement the command's id stands where attempts have their run.
          const sequence = sequences.get(run);
          if (message.name === 'command.stop_done' && sequence !== undefined) {
            const key = `${agent}/${message.data.run}/${message.data.task ?? ''}`;
            proven.set(key, Math.max(sequence, proven.get(key) ?? 0));
          } else if (message.name === 'run.resumed') {
            const key = `${agent}/${message.data.task ?? ''}`;
            resumed.set(key, Math.max(message.data.throughSequence, resumed.get(key) ?? 0));
          } else if (message.name === 'attempt.accepted') {
            const held = newest(proven, `${agent}/${run}/`, `${agent}/${run}/${task}`);
            expect(held).toBeLessThanOrEqual(newest(resumed, `${run}/`, `${run}/${task}`));
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('every resume is answered once, by the leader that was asked', () => {
    const mesh = new Miniature([{ slots: 2 }]);
    const axes = { item: [1, 2, 3] };
    mesh.submit(RUNS[0], { axes, needs: { slots: 1, cpus: 0, exclusive: false } });
    while (mesh.storeOne(0));
    while (mesh.readEvent());
    const early = mesh.resume(RUNS[0], null);
    mesh.pause(RUNS[0], null);
    mesh.settle();
    const [task = ''] = mesh.core.runs.get(RUNS[0])?.tasks.keys() ?? [];
    const one = mesh.resume(RUNS[0], task);
    mesh.settle();
    const rest = mesh.resume(RUNS[0], null);
    const unknown = mesh.resume(RUNS[1], null);
    mesh.settle();
    const late = mesh.resume(RUNS[0], null);
    const answers = [early, one, rest, unknown, late].map((token) => mesh.replies.get(token));
    expect(answers).toMatchObject([
      { kind: 'error', code: 'not_paused' },
      { kind: 'ok', reply: { task, waiting: 1 } },
      { kind: 'ok', reply: { task: null, waiting: 2 } },
      { kind: 'error', code: 'not_found' },
      { kind: 'error', code: 'already_ended' },
    ]);
  });

  it('what fails under an announced stop is not retried; a run ends after its stops', () => {
    fc.assert(
      fc.property(world, (input) => {
        const mesh = playToEnd(input);
        for (const run of RUNS) {
          let open = 0;
          const failedUnderStop = new Set<string>();
          let isStopping = false;
          for (const { message, subject } of mesh.events.filter((one) =>
            one.subject.includes(run),
          )) {
            const parts = subject.split('.');
            if (message.name === 'run.stopping') isStopping = true;
            if (ANNOUNCED.has(message.name)) open += 1;
            if (message.name === 'run.stop_closed') open -= 1;
            if (message.name === 'run.ended') expect(open).toBe(0);
            if (message.name === 'attempt.exited' && isStopping)
              failedUnderStop.add(`${parts[6] ?? ''}#${parts[7] ?? ''}`);
            if (message.name !== 'task.retrying') continue;
            expect(failedUnderStop).not.toContain(`${parts[5] ?? ''}#${message.data.n}`);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('the view only moves forward, and is the fold of the log (I2, I3)', () => {
    const rank = { submitted: 0, running: 1, paused: 1, stopping: 2, ended: 3 };
    fc.assert(
      fc.property(world, (input) => {
        const mesh = playToEnd(input);
        for (const run of RUNS) {
          const fold = createRunFold(run);
          let state = 0;
          let ended = 0;
          for (const record of mesh.events) {
            applyToRun(fold, record);
            expect(rank[fold.state]).toBeGreaterThanOrEqual(state);
            expect(fold.states.ended).toBeGreaterThanOrEqual(ended);
            state = rank[fold.state];
            ended = fold.states.ended;
          }
          const own = mesh.core.runs.get(run)?.fold;
          expect(own === undefined ? null : canonicalJson(runView(own))).toBe(
            canonicalJson(runView(fold)),
          );
          expect(own?.sequence).toBe(fold.sequence);
        }
      }),
      { numRuns: 200 },
    );
  });
});
