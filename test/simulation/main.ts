/**
 * `npm run simulate -- --seeds 10000 [--from 1]`: that many seeds, each until its end or the first
 * violation. A seed that fails is shrunk, and its last steps are printed.
 * `npm run simulate -- --seed 42 [--trace]`: one seed again, with every step.
 * Exit status 1 where one failed.
 */
import { parseArgs } from 'node:util';
import { fleetScenario } from './scenarios/fleet.ts';
import { MUTATIONS } from './mutations/mutations.ts';
import { shrink } from './shrink.ts';
import { simulate } from './simulate.ts';
import type { Simulated, SimulateOptions } from './simulated.ts';

const LAST_STEPS = 60;
const LINE_MOST = 240;
const SAY_EVERY_MS = 10_000;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'boolean' },
    mutation: { type: 'string' },
    fleet: { type: 'boolean' },
    agents: { type: 'string' },
    tasks: { type: 'string' },
  },
});

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const planted = MUTATIONS.find(({ name }) => name === values.mutation);
if (values.mutation !== undefined && planted === undefined)
  throw new Error(`no such mutation: ${MUTATIONS.map(({ name }) => name).join(', ')}`);
const base: SimulateOptions = planted === undefined ? {} : { plant: planted.plant };

async function explain(failed: Simulated): Promise<void> {
  const { seed } = failed;
  say(`seed ${seed} FAILED`);
  const smallest = await shrink(failed, base);
  const lines: string[] = [];
  const { faults, orders } = smallest;
  await simulate(seed, {
    ...base,
    faults,
    orders,
    trace: (line) => lines.push(line.slice(0, LINE_MOST)),
  });
  say(
    `  fails with ${faults.length} of ${failed.scenario.faults.length} faults, ${orders.length} of ${failed.scenario.orders.length} orders`,
  );
  for (const fault of faults) say(`  ${JSON.stringify(fault)}`);
  for (const order of orders) say(`  ${JSON.stringify(order)}`);
  for (const line of lines.slice(-LAST_STEPS)) say(`  ${line}`);
  for (const violation of smallest.violations) say(`  ${violation}`);
  say(`replay: npm run simulate -- --seed ${seed} --trace`);
}

async function one(seed: number): Promise<number> {
  const trace = values.trace === true ? { trace: say } : {};
  const result = await simulate(seed, { ...base, ...trace });
  for (const violation of result.violations) say(`VIOLATION ${violation}`);
  const { steps, stored, begins, simulatedMs } = result;
  say(
    `seed ${seed}: ${steps} steps, ${stored} messages, ${begins} processes, ${Math.round(simulatedMs / 1000)} s simulated`,
  );
  return result.violations.length === 0 ? 0 : 1;
}

async function many(from: number, count: number): Promise<number> {
  const began = performance.now();
  let saidMs = began;
  let [failed, stored, begins, cordons] = [0, 0, 0, 0];
  const rate = (done: number): string => (done / ((performance.now() - began) / 1000)).toFixed(1);
  for (let seed = from; seed < from + count; seed += 1) {
    const result = await simulate(seed, base);
    stored += result.stored;
    begins += result.begins;
    cordons += result.cordons;
    if (result.violations.length > 0) {
      failed += 1;
      await explain(result);
    }
    if (performance.now() - saidMs < SAY_EVERY_MS) continue;
    saidMs = performance.now();
    say(`${seed - from + 1} seeds, ${rate(seed - from + 1)} per second, ${failed} failed`);
  }
  say(
    `${count} seeds from ${from}: ${failed} failed; ${stored} messages, ${begins} processes, ${cordons} cordons, ${rate(count)} seeds per second`,
  );
  return failed === 0 ? 0 : 1;
}

async function fleet(seed: number): Promise<number> {
  const { agents = '200', tasks = '10000' } = values;
  const size = { agents: Number(agents), tasks: Number(tasks) };
  const began = performance.now();
  const trace = values.trace === true ? { trace: say } : {};
  const result = await simulate(seed, { ...base, ...trace, scenario: fleetScenario(seed, size) });
  for (const violation of result.violations) say(`VIOLATION ${violation}`);
  const { stored, begins, simulatedMs, outcomes, retries, superseded } = result;
  const tookS = ((performance.now() - began) / 1_000).toFixed(1);
  say(
    `${agents} agents, ${tasks} tasks, seed ${seed}: ${JSON.stringify(outcomes)}, retried ${JSON.stringify(retries)}, ${superseded} superseded; ${begins} processes, ${stored} messages, ${Math.round(simulatedMs / 1_000)} s simulated in ${tookS} s`,
  );
  return result.violations.length === 0 ? 0 : 1;
}

process.exitCode =
  values.fleet === true
    ? await fleet(Number(values.seed ?? 1))
    : values.seed === undefined
      ? await many(Number(values.from ?? 1), Number(values.seeds ?? 500))
      : await one(Number(values.seed));
