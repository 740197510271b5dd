/**
 * What an agent can be told, and by whom: a flag, else the environment, else the config file, else the
 * default. Labels come from all three, each name from the first that has it. Pure.
 */
import { isCpuList } from '#protocol/messages/agent/cpu-list.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { readExecPolicy } from '#protocol/messages/agent/exec-policy.ts';
import { isToken } from '#protocol/messages/ids.ts';
import { readLabels, type Labels } from '#protocol/messages/agent/labels.ts';
import { readAccepts } from '#protocol/suite/accepts-form.ts';
import { parseDuration, parseSize } from '#protocol/suite/units.ts';

export type SettingKey =
  | 'id'
  | 'state'
  | 'server'
  | 'credential'
  | 'slots'
  | 'reservedCpus'
  | 'rung'
  | 'refresh'
  | 'connectTimeout'
  | 'logFile'
  | 'onTerm'
  | 'spoolLimit'
  | 'journalLimit'
  | 'keepDays'
  | 'exec'
  | 'accepts';

export interface Setting {
  /** As commander takes it. */
  readonly flag: string;
  readonly variable: string;
  readonly description: string;
  /** In the config file it is relative to that file's folder. */
  readonly isPath?: true;
  /** What is wrong with a value, or null. */
  readonly problem: (text: string) => string | null;
}

const DAY_MS = 86_400_000;
const LIMIT_LEAST_BYTES = 16 * 1024 ** 2;

const filled = (text: string): string | null => (text === '' ? 'must not be empty' : null);

const oneOf =
  (...names: readonly string[]) =>
  (text: string): string | null =>
    names.includes(text) ? null : `must be one of ${names.join(', ')}`;

const duration =
  (leastMs: number, range: string) =>
  (text: string): string | null => {
    const ms = parseDuration(text);
    if (ms !== null && ms >= leastMs && ms <= DAY_MS) return null;
    return `must be a duration ${range}, such as 30s, 5m or 1h`;
  };

const size = (text: string): string | null => {
  const bytes = parseSize(text);
  if (bytes !== null && bytes >= LIMIT_LEAST_BYTES) return null;
  return 'must be a size of at least 16MiB, such as 512MiB or 8GiB';
};

export const SETTINGS: Readonly<Record<SettingKey, Setting>> = {
  id: {
    flag: '--id <id>',
    variable: 'BENCHMESH_AGENT_ID',
    description: "id of the agent, unique in the mesh; default: the host's name",
    problem: (text) => (isToken(text) ? null : 'must be 1 to 64 of A-Z a-z 0-9 _ - and not "all"'),
  },
  state: {
    flag: '--state <dir>',
    variable: 'BENCHMESH_AGENT_STATE',
    description: "state folder, this agent's alone; default $BENCHMESH_HOME/agents/ID",
    isPath: true,
    problem: filled,
  },
  server: {
    flag: '--server <url>',
    variable: 'BENCHMESH_SERVER',
    description: 'nats-server of the mesh; default: of the local mesh',
    problem: filled,
  },
  credential: {
    flag: '--credential <file>',
    variable: 'BENCHMESH_CREDENTIAL',
    description: 'file with the credential for the server',
    isPath: true,
    problem: filled,
  },
  slots: {
    flag: '--slots <n>',
    variable: 'BENCHMESH_AGENT_SLOTS',
    description: 'slots it offers; default one per usable CPU',
    problem: (text) =>
      /^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= 4096
        ? null
        : 'must be a whole number from 1 to 4096',
  },
  reservedCpus: {
    flag: '--reserved-cpus <list>',
    variable: 'BENCHMESH_AGENT_RESERVED_CPUS',
    description: 'CPUs for the agent alone, such as 0-1,8: no attempt gets them; default none',
    problem: (text) => (isCpuList(text) ? null : 'must be a list of CPUs such as 0-1,8'),
  },
  rung: {
    flag: '--rung <rung>',
    variable: 'BENCHMESH_AGENT_RUNG',
    description: 'how processes are supervised: auto, cgroup, subreaper or scan; default auto',
    problem: oneOf('auto', 'cgroup', 'subreaper', 'scan'),
  },
  refresh: {
    flag: '--refresh <duration>',
    variable: 'BENCHMESH_AGENT_REFRESH',
    description: 'between two looks at the host; default 60s',
    problem: duration(1_000, 'from 1s to 24h'),
  },
  connectTimeout: {
    flag: '--connect-timeout <duration>',
    variable: 'BENCHMESH_AGENT_CONNECT_TIMEOUT',
    description: 'end with 7 when no server answers for so long; default: tries for ever',
    problem: duration(1, 'up to 24h'),
  },
  logFile: {
    flag: '--log-file <file>',
    variable: 'BENCHMESH_AGENT_LOG_FILE',
    description: 'its structured log; default agent.log in the state folder',
    isPath: true,
    problem: filled,
  },
  onTerm: {
    flag: '--on-term <what>',
    variable: 'BENCHMESH_AGENT_ON_TERM',
    description:
      'on the first SIGTERM or SIGINT: drain waits for what runs, leave leaves it to the next agent; default drain',
    problem: oneOf('drain', 'leave'),
  },
  spoolLimit: {
    flag: '--spool-limit <size>',
    variable: 'BENCHMESH_AGENT_SPOOL_LIMIT',
    description:
      'log bytes that all attempts of the host may hold undelivered; default 16GiB, or 256MiB for each slot where that is more',
    problem: size,
  },
  journalLimit: {
    flag: '--journal-limit <size>',
    variable: 'BENCHMESH_AGENT_JOURNAL_LIMIT',
    description: 'size of the journal of events on disk; default 1GiB',
    problem: size,
  },
  keepDays: {
    flag: '--keep-days <n>',
    variable: 'BENCHMESH_AGENT_KEEP_DAYS',
    description:
      'folders of a run that nobody released are removed after so many days without a change; default 7',
    problem: (text) =>
      /^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= 3650
        ? null
        : 'must be a whole number from 1 to 3650',
  },
  exec: {
    flag: '--exec <rules>',
    variable: 'BENCHMESH_AGENT_EXEC',
    description:
      'commands that benchmesh exec may run here, separated by ;, or off; default a few that only read',
    problem: (text) => {
      const read = readExecPolicy(text);
      return read.kind === 'rules' ? null : read.reason;
    },
  },
  accepts: {
    flag: '--accepts <rules>',
    variable: 'BENCHMESH_AGENT_ACCEPTS',
    description:
      'what it takes at all, as a map of priority, labels and suites: {priority: ">=10"}; default everything',
    problem: (text) => {
      const read = readAccepts(text);
      return read.kind === 'accepts' ? null : read.reason;
    },
  },
};

export const SETTING_KEYS = Object.keys(SETTINGS) as SettingKey[];
/** `key=value`, separated by commas. */
export const LABELS_VARIABLE = 'BENCHMESH_AGENT_LABELS';

/** What one source says; texts as a flag would have them. */
export interface Said {
  readonly values: Partial<Readonly<Record<SettingKey, string>>>;
  readonly labels: Labels;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says; an empty variable says nothing. Throws `config_invalid`. */
export function settingsOfEnvironment(environment: Environment): Said {
  const values: Partial<Record<SettingKey, string>> = {};
  for (const key of SETTING_KEYS) {
    const { variable, problem } = SETTINGS[key];
    const text = environment[variable] ?? '';
    if (text === '') continue;
    const wrong = problem(text);
    if (wrong !== null) {
      throw new MeshError('config_invalid', `${variable}: ${wrong}, not ${JSON.stringify(text)}`);
    }
    values[key] = text;
  }
  const labels = readLabels((environment[LABELS_VARIABLE] ?? '').split(',').filter(Boolean));
  if (labels.kind === 'wrong') {
    throw new MeshError('config_invalid', `${LABELS_VARIABLE}: ${labels.reason}`);
  }
  return { values, labels: labels.labels };
}

/** Several sources as one; the first that says something wins, for labels name by name. */
export function merged(sources: readonly Said[]): Said {
  const values: Partial<Record<SettingKey, string>> = {};
  let labels: Labels = {};
  for (const source of sources) {
    for (const key of SETTING_KEYS) {
      const text = source.values[key];
      if (text !== undefined) values[key] ??= text;
    }
    labels = { ...source.labels, ...labels };
  }
  return { values, labels };
}

/** The host's name as an id: what ids may not hold becomes a dash. Null where nothing is left of it. */
export function idOfHost(hostname: string): string | null {
  const id = hostname
    .replace(/\..*$/, '')
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .slice(0, 64);
  return isToken(id) ? id : null;
}
