/**
 * `npm run bench [-- NAME ... [options of fleet]]`: what the mesh costs, beside peers and floors in the same run.
 * Absolute figures belong to the machine they were taken on; quote the ratios.
 */
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { toError } from '#protocol/messages/errors.ts';
import { fleet } from './fleet/fleet.ts';
import { FLEET_USAGE, parseFleetOptions } from './fleet/options.ts';
import { idle } from './idle.ts';
import { logLatency } from './log-latency.ts';
import { output } from './output.ts';
import { perturbation } from './perturbation.ts';
import { restart } from './restart/restart.ts';
import { stopLatency } from './stop-latency.ts';
import { telemetry } from './telemetry.ts';
import { throughput } from './throughput.ts';

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  throughput,
  'stop-latency': stopLatency,
  'log-latency': logLatency,
  output,
  telemetry,
  idle,
  perturbation,
  restart,
  fleet: () => fleet(flags),
};

const args = process.argv.slice(2);
const firstFlag = args.findIndex((arg) => arg.startsWith('-'));
const wanted = firstFlag === -1 ? args : args.slice(0, firstFlag);
const flags = args.slice(wanted.length);
const unknown = wanted.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(
    `no bench named ${unknown.join(', ')}; there are: ${Object.keys(BENCHES).join(', ')}`,
  );
  process.exit(2);
}
if (flags.length > 0) {
  try {
    if (wanted.join() !== 'fleet') throw new Error(`only fleet has options: ${flags.join(' ')}`);
    parseFleetOptions(flags);
  } catch (error) {
    console.error(`${toError(error).message}\n${FLEET_USAGE}`);
    process.exit(2);
  }
}
const kernel = spawnSync('uname', ['-sr'], { encoding: 'utf8' }).stdout.trim();
console.log(
  `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'cpu'}, ${kernel}, node ${process.version}`,
);
for (const [name, bench] of Object.entries(BENCHES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n${name}`);
  await bench();
}
