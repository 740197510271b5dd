/**
 * Every subject of the mesh, built and parsed here and nowhere else. The owner of a subject stands
 * in its name (I1). `bm.v1` is the era of the wire.
 */
import type { AttemptRef } from './ids.ts';

const ERA = 'bm.v1';

export type CommandKind =
  'start' | 'revoke' | 'go' | 'peers' | 'stop' | 'drain' | 'undrain' | 'release';

export const subjects = {
  /**
   * A command to one agent; `run` is `-` where a command concerns no run. On `start` also `command.starts`:
   * several in one message.
   */
  command: (agent: string, kind: CommandKind, run: string) => `${ERA}.cmd.${agent}.${kind}.${run}`,
  /** Stops are a broadcast: any operator publishes them, every agent obeys (I6). */
  stop: () => `${ERA}.cmd.all.stop`,
  /** The leader's claim on BM_COMMANDS: the fence of its writes there (I1). */
  commandEpoch: () => `${ERA}.cmd.epoch`,
  attemptEvents: (agent: string, ref: AttemptRef) =>
    `${ERA}.evt.agent.${agent}.${ref.run}.${ref.task}.${ref.n}`,
  hostEvents: (agent: string) => `${ERA}.evt.agent.${agent}.host`,
  ack: (agent: string, command: string) => `${ERA}.evt.ack.${agent}.${command}`,
  run: (run: string) => `${ERA}.evt.run.${run}`,
  task: (run: string, task: string) => `${ERA}.evt.task.${run}.${task}`,
  /** What the coordinator observed of an agent (unreachable, returned): the coordinator's subject. */
  fleet: (agent: string) => `${ERA}.evt.fleet.${agent}`,
  /** The leader's claim on BM_EVENTS: the fence of its writes there (I1). */
  eventEpoch: () => `${ERA}.evt.leader`,
  log: (agent: string, ref: AttemptRef) => `${ERA}.log.${agent}.${ref.run}.${ref.task}.${ref.n}`,
  metrics: (agent: string, ref: AttemptRef) =>
    `${ERA}.met.${agent}.${ref.run}.${ref.task}.${ref.n}`,
  hostMetrics: (agent: string) => `${ERA}.met.${agent}.host`,
  /** Content-addressed within its run, with which it goes: no two runs count on one object. */
  file: (agent: string, file: { run: string; sha256: string }, chunk: number) =>
    `${ERA}.file.${agent}.${file.run}_${file.sha256}.${chunk}`,
  /** What says which snapshot of the leader's state is the newest whole one. */
  snapshotHead: () => `${ERA}.snapshot.head`,
  snapshotPiece: (id: string, piece: number) => `${ERA}.snapshot.${id}.${piece}`,
  heartbeat: (agent: string) => `${ERA}.hb.${agent}`,
  /** `<verb>` of the coordinator, `<agent>.<verb>` of an agent. */
  api: (verb: string) => `${ERA}.api.${verb}`,
} as const;

/** Wildcard filters, for consumers. */
export const filters = {
  mailbox: (agent: string) => [`${ERA}.cmd.${agent}.>`, `${ERA}.cmd.all.stop`],
  /** Every start of a run, to whichever agent. */
  startsOf: (run: string) => `${ERA}.cmd.*.start.${run}`,
  /** What was said to the ranks of its gangs. */
  gosOf: (run: string) => `${ERA}.cmd.*.go.${run}`,
  peersOf: (run: string) => `${ERA}.cmd.*.peers.${run}`,
  revokesOf: (run: string) => `${ERA}.cmd.*.revoke.${run}`,
  /**
   * What the fold of a run reads: every event that concerns it, whoever writes it, and the
   * coordinator's observations of agents (its tasks show `unreachable`).
   */
  runEvents: (run: string) => [...filters.ownEvents(run), `${ERA}.evt.fleet.*`],
  /** What is about this run alone, and goes with it. Its own subject is the first. */
  ownEvents: (run: string) => [
    `${ERA}.evt.run.${run}`,
    `${ERA}.evt.task.${run}.>`,
    `${ERA}.evt.agent.*.${run}.>`,
  ],
  /** What agents say of the attempts of a run. */
  attemptEventsOf: (run: string) => `${ERA}.evt.agent.*.${run}.>`,
  /** What one agent is told but for revokes and releases. */
  ordersTo: (agent: string) =>
    ['start', 'drain', 'undrain'].map((kind) => `${ERA}.cmd.${agent}.${kind}.>`),
  /** Every release, to whichever agent. */
  releases: () => `${ERA}.cmd.*.release.*`,
  /** Every revoke, likewise. */
  revokes: () => `${ERA}.cmd.*.revoke.*`,
  allRuns: () => `${ERA}.evt.run.*`,
  acksOf: (command: string) => `${ERA}.evt.ack.*.${command}`,
  allAcks: () => `${ERA}.evt.ack.>`,
  /** What the fold of the fleet reads. */
  fleet: () => [`${ERA}.evt.agent.*.host`, `${ERA}.evt.fleet.*`],
  logsOf: (run: string, task = '*', n: number | '*' = '*') => `${ERA}.log.*.${run}.${task}.${n}`,
  metricsOf: (run: string, task = '*', n: number | '*' = '*') => `${ERA}.met.*.${run}.${task}.${n}`,
  /** All chunks of a stored file. */
  chunksOf: (agent: string, file: { run: string; sha256: string }) =>
    `${ERA}.file.${agent}.${file.run}_${file.sha256}.*`,
  snapshots: () => `${ERA}.snapshot.>`,
  heartbeats: () => `${ERA}.hb.*`,
} as const;

export type ParsedSubject =
  | { kind: 'command'; agent: string; command: CommandKind; run: string }
  | { kind: 'stop' }
  | { kind: 'command_epoch' }
  | { kind: 'attempt'; agent: string; ref: AttemptRef }
  | { kind: 'host'; agent: string }
  | { kind: 'ack'; agent: string; command: string }
  | { kind: 'run'; run: string }
  | { kind: 'task'; run: string; task: string }
  | { kind: 'fleet'; agent: string }
  | { kind: 'event_epoch' }
  | { kind: 'log' | 'metrics'; agent: string; ref: AttemptRef }
  | { kind: 'host_metrics'; agent: string }
  | { kind: 'file'; agent: string; run: string; sha256: string; chunk: number }
  | { kind: 'heartbeat'; agent: string }
  | { kind: 'api'; verb: string };

const COMMAND_KINDS: ReadonlySet<string> = new Set([
  'start',
  'revoke',
  'go',
  'peers',
  'stop',
  'drain',
  'undrain',
  'release',
]);

/** The parts of a subject, or null for one that is none of ours. */
export function parseSubject(subject: string): ParsedSubject | null {
  const [bm, era, area, ...rest] = subject.split('.');
  if (`${bm ?? ''}.${era ?? ''}` !== ERA) return null;
  switch (area) {
    case 'cmd':
      return parseCommand(rest);
    case 'evt':
      return parseEvent(rest);
    case 'log':
      return attemptAt('log', rest);
    case 'met': {
      const [agent, host] = rest;
      if (agent !== undefined && host === 'host' && rest.length === 2)
        return { kind: 'host_metrics', agent };
      return attemptAt('metrics', rest);
    }
    case 'file': {
      const [agent, object = '', chunk] = rest;
      const [, run, sha256] = /^(.+)_([0-9a-f]+)$/.exec(object) ?? [];
      if (agent === undefined || run === undefined || sha256 === undefined) return null;
      return { kind: 'file', agent, run, sha256, chunk: Number(chunk) };
    }
    case 'hb':
      return rest[0] === undefined ? null : { kind: 'heartbeat', agent: rest[0] };
    case 'api':
      return rest[0] === undefined ? null : { kind: 'api', verb: rest[0] };
    default:
      return null;
  }
}

function parseCommand(rest: readonly string[]): ParsedSubject | null {
  const [agent, kind, run] = rest;
  if (agent === 'epoch' && rest.length === 1) return { kind: 'command_epoch' };
  if (agent === 'all' && kind === 'stop' && rest.length === 2) return { kind: 'stop' };
  if (agent === undefined || kind === undefined || run === undefined || rest.length !== 3)
    return null;
  if (!COMMAND_KINDS.has(kind)) return null;
  return { kind: 'command', agent, command: kind as CommandKind, run };
}

function parseEvent(rest: readonly string[]): ParsedSubject | null {
  const [owner, first, second, ...more] = rest;
  if (owner === 'leader' && rest.length === 1) return { kind: 'event_epoch' };
  if (owner === undefined || first === undefined) return null;
  if (owner === 'agent' && second === 'host' && rest.length === 3)
    return { kind: 'host', agent: first };
  if (owner === 'agent')
    return attemptAt('attempt', [first, ...(second === undefined ? [] : [second]), ...more]);
  if (owner === 'ack' && second !== undefined)
    return { kind: 'ack', agent: first, command: second };
  if (owner === 'run' && rest.length === 2) return { kind: 'run', run: first };
  if (owner === 'task' && second !== undefined) return { kind: 'task', run: first, task: second };
  if (owner === 'fleet' && rest.length === 2) return { kind: 'fleet', agent: first };
  return null;
}

function attemptAt<K extends 'attempt' | 'log' | 'metrics'>(
  kind: K,
  parts: readonly string[],
): { kind: K; agent: string; ref: AttemptRef } | null {
  const [agent, run, task, n] = parts;
  if (agent === undefined || run === undefined || task === undefined || n === undefined)
    return null;
  if (parts.length !== 4 || !/^[1-9]\d*$/.test(n)) return null;
  return { kind, agent, ref: { run, task, n: Number(n) } };
}
