/**
 * Random schedules of gangs of three among singles and other gangs on eight agents: all or none, on different
 * hosts, never stuck, and on the hosts reserved for a gang begins nothing of a run that has more in hand. However
 * much of others waits, a gang begins within the bound of docs/decisions/0014-gangs.md.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import { hasGangs, placeGangs } from '#coordinator/scheduler/gang-policy.ts';
import { addRun, place, seat, vacate } from '#coordinator/scheduler/scheduler-reducer.ts';
import { createScheduler, type AgentCapacity } from '#coordinator/scheduler/scheduler-state.ts';

const AGENTS = Array.from({ length: 8 }, (_, i): AgentCapacity => {
  const id = `a${i}`;
  return {
    ...{ id, hostId: id, slots: 2, cpus: 2, memoryMiB: 1_000, gpus: [], names: [id] },
    ...{ counts: { usable: 0, all: 0, most: 0 }, labels: {}, accepts: null },
  };
});

interface Run {
  readonly hosts: 1 | 2 | 3 | 8;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly tasks: number;
}

const ENDLESS = 1_000;
const SCHEDULES = Number(process.env['GANG_SCHEDULES'] ?? 1_000);
const WITHIN_MS = 60_000 + 10 * SCHEDULES;

interface Held {
  readonly run: string;
  readonly index: number;
  readonly agent: string;
}

const runs = fc.array(
  fc.record<Run>({
    hosts: fc.constantFrom(1, 1, 2, 3, 3, 8),
    exclusive: fc.boolean(),
    priority: fc.integer({ min: 0, max: 1 }),
    tasks: fc.integer({ min: 1, max: 6 }),
  }),
  { minLength: 1, maxLength: 6 },
);

/** Places and ends at random until nothing is left; answers what went wrong. */
function play(given: readonly Run[], picks: readonly number[]): string[] {
  const state = createScheduler();
  for (const agent of AGENTS) seat(state, agent);
  const problems: string[] = [];
  let held: Held[] = [];
  let left = 0;
  /** What the reserved hosts had in hand when a gang became the first that waits. */
  let waited: { readonly gang: string; readonly before: Set<Held> } | null = null;
  const turn = (): void => {
    const reserved = state.reserved;
    for (const { run, index, agents } of placeGangs(state, AGENTS)) {
      if (new Set(agents).size !== given[Number(run)]?.hosts)
        problems.push(`${run}: not all or none`);
      for (const agent of agents) held.push({ run, index, agent });
      left -= 1;
    }
    for (const one of place(state, AGENTS)) {
      held.push(one);
      left -= 1;
      if (given[Number(one.run)]?.hosts !== 1) problems.push(`${one.run}: a rank by itself`);
    }
    const now = state.reserved;
    const gang = now === null ? null : `${now.run}/${now.index}`;
    if (now === null || gang === null) waited = null;
    else if (waited?.gang !== gang || reserved === null)
      waited = { gang, before: new Set(held.filter(({ agent }) => now.agents.has(agent))) };
    else if (given.every(({ priority }) => priority === 0)) {
      const rank = Number(now.run);
      const late = held.filter((one) => now.agents.has(one.agent) && !waited?.before.has(one));
      // What leaves room for the rank may run beside it.
      const isAlone = given[rank]?.exclusive === true;
      if (isAlone && late.some((one) => !before.has(one) && isOvertaking(one, now.run)))
        problems.push(`${gang}: overtaken on a reserved host`);
    }
    before = new Set(held);
  };
  let before = new Set<Held>();
  /** Its run had more in hand than that of the gang, and all the same it began; of the same class it may. */
  const isOvertaking = ({ run }: Held, gang: string): boolean => {
    const [mine, its] = [given[Number(run)], given[Number(gang)]];
    if (mine?.hosts === its?.hosts && mine?.exclusive === its?.exclusive) return false;
    const begun = held.filter((one) => one.run === run && !before.has(one)).length;
    const weight = mine?.exclusive === true ? 2 : 1;
    const had = (state.runs.get(run)?.inHand ?? 0) - begun * weight;
    return had > (state.runs.get(gang)?.inHand ?? 0);
  };
  given.forEach((run, at) => {
    const { hosts, exclusive, priority, tasks } = run;
    const needs: Needs = { slots: 1, cpus: 0, exclusive, ...(hosts === 1 ? {} : { hosts }) };
    const classes = { classes: [needs], of: null };
    addRun(state, {
      ...{ run: String(at), order: at, tasks, maxParallel: null },
      priority,
      needs: classes,
    });
    left += tasks;
    turn();
  });
  for (let step = 0; held.length > 0 && step < 500; step += 1) {
    const one = held[(picks[step % picks.length] ?? 0) % held.length];
    if (one === undefined) break;
    held = held.filter((other) => other !== one);
    vacate(state, one.run, { index: one.index, agent: one.agent, heldMs: 5 });
    turn();
  }
  if (left > 0) problems.push(`${left} tasks wait for ever`);
  if (hasGangs(state)) problems.push('hosts stay reserved');
  for (const [agent, usage] of state.usage)
    if (usage.attempts !== 0 || usage.slots !== 0) problems.push(`${agent} is not free`);
  return problems;
}

/**
 * A gang of three comes while more of others waits than ever ends. Answers in which generation it begins: each
 * is all that was in hand when the one before had ended. `isHeldUp`: hosts were reserved then for a gang whose run
 * had another in hand; runs with less in hand than that go before it, until it has ended.
 */
function generationOf(
  others: readonly Run[],
  gang: Run,
  picks: readonly number[],
): { readonly generation: number; readonly isHeldUp: boolean } {
  const state = createScheduler();
  for (const agent of AGENTS) seat(state, agent);
  let held: Held[] = [];
  const begun = new Set<string>();
  const turn = (): void => {
    for (const { run, index, agents } of placeGangs(state, AGENTS)) {
      begun.add(run);
      for (const agent of agents) held.push({ run, index, agent });
    }
    held.push(...place(state, AGENTS));
  };
  const submit = (run: string, { hosts, exclusive, tasks }: Run, order: number): void => {
    const needs: Needs = { slots: 1, cpus: 0, exclusive, ...(hosts === 1 ? {} : { hosts }) };
    addRun(state, {
      ...{ run, order, tasks, maxParallel: null, priority: 0 },
      needs: { classes: [needs], of: null },
    });
    turn();
  };
  let step = 0;
  const endOne = (): void => {
    const one = held[(picks[step % picks.length] ?? 0) % held.length];
    step += 1;
    if (one === undefined) return;
    held = held.filter((other) => other !== one);
    vacate(state, one.run, { index: one.index, agent: one.agent, heldMs: 5 });
    turn();
  };
  others.forEach((run, at) => {
    submit(String(at), { ...run, tasks: ENDLESS }, at);
  });
  for (let ends = 0; ends < 20; ends += 1) endOne();
  const reserved = state.reserved?.run;
  const isHeldUp = reserved !== undefined && (state.runs.get(reserved)?.inHand ?? 0) > 0;
  submit('gang', gang, others.length);
  for (let generation = 0; generation <= others.length + 1; generation += 1) {
    const left = new Set(held);
    while (!begun.has('gang') && held.some((one) => left.has(one))) endOne();
    if (begun.has('gang')) return { generation, isHeldUp };
  }
  return { generation: Infinity, isHeldUp };
}

describe('gangs among singles and other gangs', () => {
  it(
    'all end, all or none, in any schedule',
    () => {
      fc.assert(
        fc.property(
          runs,
          fc.array(fc.nat({ max: 1_000 }), { minLength: 5, maxLength: 40 }),
          (given, picks) => {
            expect(play(given, picks)).toEqual([]);
          },
        ),
        { numRuns: SCHEDULES },
      );
    },
    WITHIN_MS,
  );

  it(
    'begin when what was in hand has ended, and one gang of each run that was before in turn',
    () => {
      fc.assert(
        fc.property(
          runs,
          fc.boolean(),
          fc.array(fc.nat({ max: 1_000 }), { minLength: 5, maxLength: 40 }),
          (others, exclusive, picks) => {
            const gang: Run = { hosts: 3, exclusive, priority: 0, tasks: 1 };
            const before = others.filter(({ hosts }) => hosts > 1).length;
            const { generation, isHeldUp } = generationOf(others, gang, picks);
            expect(generation).toBeLessThanOrEqual(isHeldUp ? before + 1 : before);
          },
        ),
        { numRuns: SCHEDULES / 10 },
      );
    },
    WITHIN_MS,
  );
});
