/**
 * `npm run bench [-- NAME ... [its options]]`: what the mesh costs, beside peers and floors in the same run.
 * Absolute figures belong to the machine they were taken on; quote the ratios.
 */
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { toError } from '#protocol/messages/errors.ts';
import { fleet } from './fleet/fleet.ts';
import { FLEET_USAGE, parseFleetOptions } from './fleet/options.ts';
import { idle } from './idle.ts';
import { logLatency } from './log-latency.ts';
import { memory } from './memory/memory.ts';
import { output } from './output.ts';
import { perturbation } from './perturbation.ts';
import { parseSlotsOptions, SLOTS_USAGE } from './slots/options.ts';
import { slots } from './slots/slots.ts';
import { restart } from './restart/restart.ts';
import { placement } from './placement.ts';
import { stopLatency } from './stop-latency.ts';
import { submit } from './submit.ts';
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
  placement,
  memory,
  submit,
  slots: () => slots(flags),
};

/** Benches that have flags: what reads them, and what is said of them. */
const OPTIONS: Readonly<Record<string, [(args: readonly string[]) => unknown, string]>> = {
  fleet: [parseFleetOptions, FLEET_USAGE],
  slots: [parseSlotsOptions, SLOTS_USAGE],
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
  const [read, usage] = OPTIONS[wanted.join()] ?? [];
  try {
    if (read === undefined)
      throw new Error(
        `options are for one of ${Object.keys(OPTIONS).join(', ')}: ${flags.join(' ')}`,
      );
    read(flags);
  } catch (error) {
    console.error([toError(error).message, usage ?? []].flat().join('\n'));
    process.exit(2);
  }
}
const kernel = spawnSync('uname', ['-sr'], { encoding: 'utf8' }).stdout.trim();
const say = flags.includes('--json') ? console.error : console.log;
say(`${cpus().length} x ${cpus()[0]?.model.trim() ?? 'cpu'}, ${kernel}, node ${process.version}`);
for (const [name, bench] of Object.entries(BENCHES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  say(`\n${name}`);
  await bench();
}
