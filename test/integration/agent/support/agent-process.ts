/** A real agent process against a real nats-server, and what a coordinator would say to it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AttemptSpec, StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { decode, encode, type Message, type MessageOf } from '#protocol/messages/envelope.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import { newId, newRunId } from '#protocol/messages/ids.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { LOG_HEADERS } from '#protocol/messages/attempt/log.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { ensureMailbox } from '#protocol/nats/agents/mailbox.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { tail, type Tail } from '#protocol/nats/streams/tail.ts';
import {
  startTestServer,
  type TestServer,
  type TestServerOptions,
} from '#test/support/nats-server.ts';
import { until } from '#test/support/until.ts';

export const ROOT = join(import.meta.dirname, '..', '..', '..', '..');

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

export interface AgentProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** So far. */
  stderr(): string;
}

/** Starts an agent process; `prefix` is a program that becomes it (`nsenter`). */
export function spawnAgent(
  flags: readonly string[],
  env: NodeJS.ProcessEnv = {},
  prefix: readonly string[] = [],
): AgentProcess {
  const program = ['--import', 'tsx', join(ROOT, 'agent/main.ts')];
  return spawnProcess([...prefix, process.execPath, ...program, ...flags], env);
}

/** Starts anything that ends as an agent does. */
export function spawnProcess(
  [program = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv = {},
): AgentProcess {
  const child = spawn(program, args, {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exited = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    stderr,
  }));
  return { child, pid: child.pid ?? 0, exited, stderr: () => stderr };
}

export interface Seen {
  readonly sequence: number;
  readonly subject: string;
  readonly message: Message;
}

export interface TestMesh {
  readonly server: TestServer;
  readonly connection: MeshConnection;
  readonly dir: string;
  readonly state: string;
  /** Every event stored so far, in order. */
  readonly events: Seen[];
  /** Flags of an agent of this mesh. */
  flags(id?: string, state?: string): string[];
  /** `extra` flags win over its own; `prefix` is a program that becomes the agent. */
  start(extra?: readonly string[], prefix?: readonly string[]): Promise<AgentProcess>;
  kill(agent: AgentProcess): Promise<void>;
  command<N extends MessageName>(subject: string, name: N, data: MessageData<N>): Promise<Sent>;
  startAttempt(
    spec: AttemptSpec,
    options?: { afterStop?: number; priority?: number },
  ): Promise<Sent>;
  find<N extends MessageName>(name: N, where?: (data: MessageData<N>) => boolean): MessageOf<N>[];
  wait<N extends MessageName>(
    name: N,
    where?: (data: MessageData<N>, seen: Seen) => boolean,
  ): Promise<MessageOf<N>>;
  /** The events of one attempt, by name. */
  of<N extends MessageName>(spec: AttemptSpec, name: N): MessageOf<N>[];
  namesOf(spec: AttemptSpec): MessageName[];
  began(spec: AttemptSpec): Promise<MessageOf<'attempt.step_started'>>;
  exited(spec: AttemptSpec): Promise<MessageOf<'attempt.exited'>>;
  /** What an operator's `stop` publishes. */
  stop(run: string, task: string | null, how?: { graceMs?: number; now?: boolean }): Promise<Sent>;
  log(spec: AttemptSpec): Promise<{ stdout: Buffer; stderr: Buffer; both: Buffer; gaps: number }>;
  close(): Promise<void>;
}

export interface Sent {
  readonly id: string;
  readonly sequence: number;
}

export const AGENT = 'a1';

export async function startTestMesh(options: TestServerOptions = {}): Promise<TestMesh> {
  const server = await startTestServer(options);
  const connection = await server.connect('test');
  await ensureMailbox(connection, AGENT);
  const dir = await mkdtemp(join(tmpdir(), 'benchmesh-agent-'));
  const state = join(dir, 'state');
  const events: Seen[] = [];
  const following: Tail = tail(connection, {
    stream: 'BM_EVENTS',
    filters: ['bm.v1.evt.>'],
    onMessage: ({ sequence, subject, data }) => {
      const decoded = decode(data);
      if (decoded.kind === 'ok') events.push({ sequence, subject, message: decoded.message });
    },
  });
  const agents: AgentProcess[] = [];
  const flags = (id = AGENT, folder = state): string[] => [
    '--id',
    id,
    '--state',
    folder,
    '--server',
    server.url,
    '--credential',
    server.credentialFile,
  ];
  const kill = async (agent: AgentProcess): Promise<void> => {
    agent.child.kill('SIGKILL');
    await agent.exited;
  };
  const find = <N extends MessageName>(
    name: N,
    where: (data: MessageData<N>, seen: Seen) => boolean = () => true,
  ): MessageOf<N>[] =>
    events
      .filter(
        (seen) => seen.message.name === name && where(seen.message.data as MessageData<N>, seen),
      )
      .map((seen) => seen.message as MessageOf<N>);
  const command = async <N extends MessageName>(
    subject: string,
    name: N,
    data: MessageData<N>,
  ): Promise<Sent> => {
    const id = newId();
    const bytes = encode({ name, data, id, timeMs: 0, writer: { source: '/coordinators/test' } });
    const outcome = await publishEvent(connection, subject, bytes);
    if (outcome.kind !== 'stored')
      throw new Error(`command not stored: ${JSON.stringify(outcome)}`);
    return { id, sequence: outcome.sequence };
  };
  const wait: TestMesh['wait'] = (name, where = () => true) =>
    until(
      () => find(name, where)[0],
      `event ${name}; seen ${events.map(({ message }) => message.name).join(' ')}`,
    );
  const isOf =
    (spec: AttemptSpec) =>
    (_data: unknown, { subject }: Seen): boolean =>
      subject === subjects.attemptEvents(AGENT, spec);
  return {
    server,
    connection,
    wait,
    of: (spec, name) => find(name, isOf(spec)),
    namesOf: (spec) =>
      events.filter((seen) => isOf(spec)(null, seen)).map(({ message }) => message.name),
    began: (spec) => wait('attempt.step_started', isOf(spec)),
    exited: (spec) => wait('attempt.exited', isOf(spec)),
    stop: (run, task, { graceMs, now = false } = {}) =>
      command(subjects.stop(), 'command.stop', {
        run,
        task,
        graceMs: graceMs ?? null,
        now,
        by: 'tester',
        reason: 'a test',
      }),
    dir,
    state,
    events,
    flags,
    kill,
    find,
    command,
    start: async (extra = [], prefix = []) => {
      const before = find('agent.started').length;
      const agent = spawnAgent([...flags(), ...extra], {}, prefix);
      agents.push(agent);
      let end: Exit | null = null;
      void agent.exited.then((exit) => {
        end = exit;
      });
      await until(() => {
        if (end !== null) throw new Error(`the agent ended: ${JSON.stringify(end)}`);
        return find('agent.started').length > before;
      }, 'the agent to start');
      return agent;
    },
    startAttempt: (spec, { afterStop = 0, priority = 0 } = {}) =>
      command(subjects.command(AGENT, 'start', spec.run), 'command.start', {
        spec,
        afterStop,
        priority,
      }),
    log: (spec) => readLog(connection, spec),
    close: async () => {
      await Promise.all(agents.map(kill));
      await following.close();
      await server.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** The log of an attempt as its readers put it together; throws where an offset does not fit. */
async function readLog(
  connection: MeshConnection,
  spec: AttemptSpec,
): Promise<{ stdout: Buffer; stderr: Buffer; both: Buffer; gaps: number }> {
  const parts: Buffer[] = [];
  const streams: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  let offset = 0;
  let gaps = 0;
  const done = new Promise<void>((resolve, reject) => {
    const reader = tail(connection, {
      stream: 'BM_LOGS',
      filters: [subjects.log(AGENT, spec)],
      onMessage: (message) => {
        const at = Number(message.header(LOG_HEADERS.offset));
        const gapTo = message.header(LOG_HEADERS.gapTo);
        if (at !== offset) {
          reject(new Error(`message at ${at}, expected ${offset}`));
          return;
        }
        if (gapTo !== null) {
          gaps += Number(gapTo) - at;
          offset = Number(gapTo);
          return;
        }
        const bytes = Buffer.from(message.data);
        parts.push(bytes);
        offset += bytes.length;
        let from = 0;
        for (const chunk of (message.header(LOG_HEADERS.chunks) ?? '').split(',')) {
          const [kind, length] = chunk.split(':');
          const to = from + Number(length);
          streams[kind === 'o' ? 'stdout' : 'stderr'].push(bytes.subarray(from, to));
          from = to;
        }
        if (from !== bytes.length) reject(new Error(`chunks sum to ${from} of ${bytes.length}`));
      },
      onCaughtUp: () => {
        void reader.close().then(resolve);
      },
      onError: reject,
    });
  });
  await done;
  return {
    stdout: Buffer.concat(streams.stdout),
    stderr: Buffer.concat(streams.stderr),
    both: Buffer.concat(parts),
    gaps,
  };
}

let serial = 0;

/** A step of the attempt, by default a shell script as `run`. */
export function step(script: string, change: Partial<StepSpec> = {}): StepSpec {
  return {
    step: 'run',
    id: change.step ?? 'run',
    argv: ['/bin/sh', '-c', script],
    env: {},
    cwd: null,
    stdio: 'pipe',
    timeoutMs: null,
    onFail: 'fail',
    message: null,
    ...change,
  };
}

export const RUN = newRunId(new Date('2026-01-02T03:04:05Z'));

export function attemptSpec(
  steps: readonly StepSpec[],
  change: Partial<AttemptSpec> = {},
): AttemptSpec {
  serial += 1;
  return {
    run: RUN,
    task: `t${serial}`,
    n: 1,
    suite: 'test',
    axes: {},
    repeat: 1,
    index: serial,
    seed: 1,
    suiteDir: null,
    steps: [...steps],
    phases: [],
    needs: { slots: 1, cpus: 0, exclusive: false },
    budgetMs: null,
    graceMs: 1_000,
    stopSignal: 'SIGTERM',
    metrics: [],
    files: [],
    checkpoints: [],
    logLimitBytes: 64 * 1024 * 1024,
    ...change,
  };
}
