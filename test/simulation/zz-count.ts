import { scenarioOf } from './scenario.ts';
import { simulate } from './simulate.ts';
const [from = 1, to = 200] = process.argv.slice(2).map(Number);
let lost = 0, rep = 0, gangs = 0; const seeds: number[] = []; const repSeeds: number[] = [];
for (let seed = from; seed <= to; seed += 1) {
  if (!scenarioOf(seed).runs.some((x) => x.suite.gang?.onRankLost)) continue;
  const events = new Set<string>();
  const r = await simulate(seed, { trace: (l) => { const m = /rank_(lost|replaced)/.exec(l); if (m) events.add(m[1]!); } });
  if (r.scenario.runs.some((x) => x.suite.gang?.onRankLost)) gangs += 1;
  if (events.has('lost')) { lost += 1; seeds.push(seed); }
  if (events.has('replaced')) { rep += 1; repSeeds.push(seed); }
  if (r.violations.length) console.log('FAILED', seed, r.violations[0]);
}
console.log({ gangs, lost, rep, seeds: seeds.join(' '), repSeeds: repSeeds.join(' ') });
