/** Flags of `npm run bench -- fleet`. */
import { parseArgs } from 'node:util';

export interface FleetOptions {
  readonly agents: number;
  readonly slots: number;
  /** Of the matrix; a multiple of the durations it has. */
  readonly tasks: number;
  /** Tasks last from `leastMs` to `mostMs`, evenly. */
  readonly leastMs: number;
  readonly mostMs: number;
  /** Processes that the agents are shared out to. */
  readonly processes: number;
  /** Broadcast stops to be timed; 0 leaves them out. */
  readonly stops: number;
  /** Tasks on each agent when a stop comes. */
  readonly stopTasks: number;
  /** Where V8 profiles of coordinator and agents go; null: none are made. */
  readonly profileDir: string | null;
}

export const FLEET_USAGE = `npm run bench -- fleet [options]
  --agents N       simulated agents, each with its own connection (1000)
  --slots N        of each agent (8)
  --tasks N        of the matrix, rounded up to a multiple of 100, below 1,000 of 10 (100000)
  --seconds A-B    how long tasks last, evenly; 4-120 offers a quarter of the load of 1-30 (1-30)
  --processes N    processes that hold the agents (2)
  --stops N        broadcast stops to be timed, 0 for none (20)
  --stop-tasks N   tasks on each agent when a stop comes (1)
  --profile DIR    V8 profiles of the coordinator and the agents`;

const DEFAULTS = {
  agents: '1000',
  slots: '8',
  tasks: '100000',
  seconds: '1-30',
  processes: '2',
  stops: '20',
  'stop-tasks': '1',
} as const;

/** Throws an Error of one line for what cannot be understood. */
export function parseFleetOptions(args: readonly string[]): FleetOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      ...{ agents: text, slots: text, tasks: text, seconds: text, processes: text },
      ...{ stops: text, 'stop-tasks': text, profile: text },
    },
  });
  const given: Readonly<Record<string, string | undefined>> = values;
  const whole = (name: keyof typeof DEFAULTS, least = 1): number => {
    const said = given[name] ?? DEFAULTS[name];
    const value = Number(said);
    if (Number.isInteger(value) && value >= least) return value;
    throw new Error(`--${name} ${said}: a whole number from ${least} on is needed`);
  };
  const seconds = given['seconds'] ?? DEFAULTS.seconds;
  const [, least = '', most = ''] = /^([\d.]+)-([\d.]+)$/.exec(seconds) ?? [];
  if (!(Number(least) > 0 && Number(most) >= Number(least)))
    throw new Error(`--seconds ${seconds}: two numbers are needed, as in 1-30`);
  const tasks = whole('tasks');
  const durations = durationsOf(tasks);
  return {
    agents: whole('agents'),
    slots: whole('slots'),
    tasks: Math.ceil(tasks / durations) * durations,
    leastMs: Number(least) * 1_000,
    mostMs: Number(most) * 1_000,
    processes: whole('processes'),
    stops: whole('stops', 0),
    stopTasks: whole('stop-tasks'),
    profileDir: given['profile'] ?? null,
  };
}

/** Different durations in a matrix of so many tasks. */
export function durationsOf(tasks: number): number {
  return tasks < 1_000 ? 10 : 100;
}
