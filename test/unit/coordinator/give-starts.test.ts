/** Starts that go to one agent in one turn, as one command. */
import { describe, expect, it } from 'vitest';
import { ownStarts } from '#coordinator/own-starts.ts';
import type { PublishEffect } from '#coordinator/core/core-state.ts';
import { encode } from '#protocol/messages/envelope.ts';
import type { GivenStart } from '#protocol/messages/run/command.ts';
import { readOf, startsIn } from '#protocol/messages/run/starts.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-46-bbbb';
const READS = ['command.starts'];

const items = (count: number, value: (at: number) => string = String): { item: string[] } => ({
  item: Array.from({ length: count }, (_, at) => value(at)),
});

function meshOf(
  agents: ConstructorParameters<typeof Miniature>[0],
  axes: { item: string[] },
  suite: object = {},
): Miniature {
  const mesh = new Miniature(agents);
  mesh.submit(RUN, { axes, needs: { slots: 1, cpus: 0, exclusive: false }, ...suite });
  while (mesh.outgoing.some(({ name }) => name === 'run.submitted')) mesh.storeOne(0);
  while (mesh.readEvent());
  return mesh;
}

const isStart = ({ name }: PublishEffect): boolean => name.startsWith('command.start');

/** The commands on their way, each as its agent and how many it starts. */
function given(mesh: Miniature): string[] {
  return mesh.outgoing.filter(isStart).map(({ subject, name, data }) => {
    const parsed = parseSubject(subject);
    const agent = parsed?.kind === 'command' ? parsed.agent : '';
    return `${agent} ${name === 'command.starts' ? readOf(data).length : 'alone'}`;
  });
}

const stored = (mesh: Miniature): GivenStart[] =>
  mesh.commands.flatMap((record) => (record === null ? [] : startsIn(record.message)));

function storeAll(mesh: Miniature): void {
  while (mesh.storeOne(0));
}

describe('starts of one turn', () => {
  it('are one command for each agent, of free slots before any that is queued', () => {
    const mesh = meshOf(
      [
        { slots: 3, reads: READS },
        { slots: 2, reads: READS },
      ],
      items(40),
    );
    expect(given(mesh)).toEqual(['a0 3', 'a1 2', 'a0 3', 'a1 2']);
    const [first] = mesh.outgoing.filter(isStart);
    const of = first?.name === 'command.starts' ? readOf(first.data) : [];
    // As they were placed: in the order of the run.
    expect(of.map(({ spec }) => spec.index)).toEqual([0, 2, 4]);
    expect(of.map(({ id, spec }) => id === `${RUN}_${spec.task}_1`)).toEqual([true, true, true]);
    expect(first?.id).toBe(`${of[0]?.id ?? ''}_and2`);
  });

  it('go one at a time to an agent that does not say that it reads several', () => {
    const mesh = meshOf([{ slots: 2 }, { slots: 2, reads: READS }], items(4));
    expect(given(mesh)).toEqual(['a0 alone', 'a0 alone', 'a1 2']);
  });

  it('are a plain start where there is one', () => {
    const mesh = meshOf([{ slots: 2, reads: READS }], items(5));
    expect(given(mesh)).toEqual(['a0 2', 'a0 2']);
    storeAll(mesh);
    while (mesh.readCommand());
    mesh.agentReads(0, false);
    mesh.agentReads(0, false);
    mesh.outgoing = [];
    mesh.agentExits(0, 'passed', false);
    while (mesh.readEvent());
    expect(given(mesh)).toEqual(['a0 alone']);
  });

  it.each([
    [1, 'a', 9],
    [10_000, 'ä', 1],
    [40_000, 'a', 1],
  ])('are as many as fit: of %i times %s each at least %i', (times, letter, least) => {
    const long = items(100, (at) => `${at}${letter.repeat(times)}`);
    const mesh = meshOf([{ slots: 100, reads: READS }], long);
    const sizes = mesh.outgoing.filter(isStart).map(({ name, data }) => ({
      starts: name === 'command.starts' ? readOf(data).length : 1,
      bytes: Buffer.byteLength(JSON.stringify(data)),
    }));
    expect(sizes.reduce((sum, { starts }) => sum + starts, 0)).toBe(100);
    for (const { starts, bytes } of sizes.slice(0, -1)) {
      expect(starts).toBeGreaterThanOrEqual(least);
      if (starts > 1) expect(bytes).toBeLessThan(33 * 1024);
    }
  });

  it('go one by one where no stream takes all of them, and only those that are still to be started', () => {
    const mesh = meshOf([{ slots: 3, reads: READS }], items(3));
    const effect = mesh.outgoing.find(({ name }) => name === 'command.starts');
    if (effect === undefined) throw new Error('no command of several');
    mesh.outgoing = mesh.outgoing.filter((one) => one !== effect);
    mesh.post({ kind: 'unstorable', effect, reason: 'too large' });
    expect(given(mesh)).toEqual(['a0 alone', 'a0 alone', 'a0 alone']);
    const alone = mesh.outgoing.find(isStart);
    if (alone === undefined) throw new Error('no start');
    mesh.outgoing = mesh.outgoing.filter((one) => one !== alone);
    mesh.post({ kind: 'unstorable', effect: alone, reason: 'too large' });
    expect(mesh.outgoing.filter(({ name }) => name === 'task.ended')).toHaveLength(1);
    mesh.settle();
    expect(mesh.archived).toEqual([RUN]);
    expect(mesh.problems).toEqual([]);
  });
});

describe('a command of several starts', () => {
  it('is known to the next leader, which starts none of them again', () => {
    const mesh = meshOf([{ slots: 3, reads: READS }], items(12));
    storeAll(mesh);
    const before = stored(mesh).length;
    mesh.lead();
    expect(mesh.outgoing.filter(isStart)).toEqual([]);
    expect(mesh.core.runs.get(RUN)?.open.size).toBe(before);
    mesh.settle();
    expect(mesh.archived).toEqual([RUN]);
    expect(new Set(stored(mesh).map(({ id }) => id)).size).toBe(stored(mesh).length);
    expect(mesh.problems).toEqual([]);
  });

  it('stays until the last of its attempts has ended', () => {
    const mesh = meshOf([{ slots: 3, reads: READS }], items(3));
    storeAll(mesh);
    while (mesh.readCommand());
    while (mesh.agentReads(0, false));
    const left = (): number => stored(mesh).length;
    for (const expected of [3, 3, 0]) {
      mesh.agentExits(0, 'passed', false);
      while (mesh.readEvent());
      // The others are to be kept as long as their run lives.
      const run = mesh.core.runs.get(RUN);
      if (run !== undefined) run.starts.kept = 10;
      mesh.later(1_000);
      expect(left()).toBe(expected);
    }
    expect(mesh.problems).toEqual([]);
  });

  it('asks for each of them where a stop comes after it', () => {
    const mesh = meshOf([{ slots: 3, reads: READS }], items(3));
    storeAll(mesh);
    mesh.stop(RUN, null);
    while (mesh.readEvent() || mesh.readCommand());
    const [stop] = mesh.core.stops.get(RUN)?.stops.values() ?? [];
    expect(stop?.overtaken.size).toBe(0);
    expect(mesh.core.runs.get(RUN)?.open.size).toBe(3);
    mesh.settle();
    const closed = mesh.events.filter(({ message }) => message.name === 'run.stop_closed');
    expect(closed).toHaveLength(1);
  });

  it('is refused whole by a stop that came before it', () => {
    const mesh = meshOf([{ slots: 3, reads: READS }], items(3));
    mesh.stop(RUN, null);
    while (mesh.readCommand());
    const [stop] = mesh.core.stops.get(RUN)?.stops.values() ?? [];
    expect(stop?.overtaken.size).toBe(3);
    mesh.settle();
    expect(mesh.agents[0]?.begun).toEqual([]);
    expect(mesh.archived).toEqual([RUN]);
  });

  it('is known to its leader by its ids', () => {
    const [one, two] = goldenMessages['command.starts'].starts;
    const run = goldenMessages['command.start'].spec.run;
    const writer = { source: '/coordinators/c', epoch: 1 };
    const read = (id: string, data: (typeof goldenMessages)['command.starts']): unknown =>
      ownStarts(encode({ name: 'command.starts', data, id, timeMs: 0, writer }), run);
    const id = `${one?.id ?? ''}_and1`;
    const { task } = goldenMessages['command.start'].spec;
    expect(read(id, goldenMessages['command.starts'])).toEqual([
      { run, task, n: 1 },
      { run, task, n: 2 },
    ]);
    expect(two?.id).toBe(`${run}_${task}_2`);
    const strange = { starts: [...goldenMessages['command.starts'].starts, { id: 'strange' }] };
    expect(read(id, strange)).toBeNull();
  });
});
