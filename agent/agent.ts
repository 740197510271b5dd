/**
 * The agent put together: state folder, supervisor, connection, outbox, host.
 *
 *   state folder (lock) -> supervisor -> connection, first look at the host -> registration -> outbox
 *     -> ledger's events -> host takes up what ran -> heartbeat -> mailbox -> changes of the host
 *
 * The registration comes before anything is consumed or published: another state folder under this
 * id is refused while it has done no harm (I1). Ending is the same way back; what runs goes on (I8).
 */
import { join } from 'node:path';
import type { Hardware } from '#protocol/messages/agent/hardware.ts';
import { READS, type Registration } from '#protocol/messages/agent/host.ts';
import type { Accepts } from '#protocol/messages/agent/accepts.ts';
import type { Labels } from '#protocol/messages/agent/labels.ts';
import { formatCpuList } from '#protocol/messages/agent/cpu-list.ts';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { connect, type MeshConnection } from '#protocol/nats/connection.ts';
import { readCredential } from '#protocol/nats/credential.ts';
import { openMailbox } from '#protocol/nats/agents/mailbox.ts';
import { eventStore, openOutbox, type Outbox } from '#protocol/nats/outbox/outbox.ts';
import { systemClock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import manifest from '../package.json' with { type: 'json' };
import { inheritedEnv } from './attempt/child-env.ts';
import { natsFileStore } from './attempt/file-store.ts';
import { CpuKeeper, reservedCpus } from './cpus/cpu-keeper.ts';
import { readCpuLayout } from './cpus/cpu-layout.ts';
import type { CpuLayout } from './cpus/cpu-policy.ts';
import { withoutReserved } from './cpus/own-cpus.ts';
import type { Discovery } from './discovery/discovery.ts';
import { discoveryOfHost } from './discovery/host-discovery.ts';
import { ChangePublisher } from './host/change-publisher.ts';
import { ForgottenWatch } from './host/forgotten-watch.ts';
import { Host } from './host/host.ts';
import { readHostInfo, type HostInfo } from './host/host-info.ts';
import { watchPartition } from './host/partition-watch.ts';
import { register, startPresence } from './host/presence.ts';
import { serveExec } from './exec/exec-service.ts';
import { serveInspection } from './inspect/inspect-service.ts';
import type { Waiting } from './host/waiting.ts';
import { LogPacer } from './logs/log-pacer.ts';
import { hostSpoolBytes, SpoolBudget } from './logs/spool-budget.ts';
import { natsLogStore } from './logs/log-store.ts';
import { createSupervisor, type Rung, type Supervisor } from './process/supervisor.ts';
import { ReportPoller } from './report/report-tail.ts';
import { EventSink } from './state/event-sink.ts';
import { realProc } from './telemetry/proc-reader.ts';
import { startTelemetry } from './telemetry/start-telemetry.ts';
import { Ledger } from './state/ledger.ts';
import type { StateFolder } from './state/state-folder.ts';

/** What it may leave on the disk of its state folder (I12). */
export interface AgentLimits {
  /** Of logs not delivered, over all attempts; null: what `hostSpoolBytes` says. */
  readonly spoolBytes: number | null;
  /** Of the outbox; null: its default. */
  readonly journalBytes: number | null;
  /** Days after which folders of a run that nobody released go. */
  readonly keepDays: number;
}

export interface AgentOptions {
  readonly folder: StateFolder;
  readonly url: string;
  readonly credentialFile: string | null;
  /** Null: one for each CPU it may use. */
  readonly slots: number | null;
  /** CPUs for itself alone, `0-1,8`; null: none. */
  readonly reservedCpus: string | null;
  readonly rung: Rung | 'auto';
  readonly labels: Labels;
  /** Null: everything. */
  readonly accepts: Accepts | null;
  /** What it runs for whoever asks: rules of protocol/messages/agent/exec-policy.ts. */
  readonly execRules: readonly string[];
  /** Between two looks at the host. */
  readonly refreshMs: number;
  readonly limits: AgentLimits;
  readonly logFile: string;
  readonly log: Log;
  /** How long a server may take to answer; null: for ever. */
  readonly connectMs: number | null;
  /** Ends waiting for a server that does not answer. */
  readonly signal: AbortSignal;
  /** A defect, or another writer of our subjects: the process must end. */
  readonly onFatal: (error: MeshError) => void;
}

export interface RunningAgent {
  /** Starts nothing more and gives back what waits, until this process ends. */
  drain(reason: string): void;
  /** Ends what runs as a stop does, to be run again elsewhere. */
  stopAttempts(reason: string): void;
  waiting(): Waiting;
  /** Attempts that ended in the drain and may have left something alive, and those known to have (I5). */
  unproven(): readonly string[];
  /** `listener` is called whenever `waiting` may have less. */
  onMoved(listener: () => void): void;
  /** Resolves when every event so far is stored, however long the server takes. */
  stored(): Promise<void>;
  /** Stops consuming, publishes what it has for a moment, closes. What runs goes on. */
  close(reason: string): Promise<void>;
}

const FLUSH_MS = 2_000;

/** Starts the agent. Rejects with MeshError; nothing is left open then but the state folder. */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { folder, log, refreshMs } = options;
  const reserved = reservedCpus(options.reservedCpus);
  const supervisor = await beginSupervisor(options);
  const discovery = discoveryOfHost({ stateDir: folder.dir, everyMs: refreshMs, log });
  let connection: MeshConnection | null = null;
  try {
    const looking = discovery.begin();
    connection = await dial(options);
    const hardware = await looking;
    const info = readHostInfo(hardware, reserved.length);
    const registration = registrationOf(options, { info, hardware, supervisor, reserved });
    await register(connection, registration);
    // Nothing binds processes on the scan rung.
    const layout = supervisor.rung === 'scan' ? null : readCpuLayout(hardware);
    return await begin(options, {
      connection,
      supervisor,
      registration,
      info,
      discovery,
      hardware,
      layout,
      reserved,
    });
  } catch (error) {
    discovery.close();
    supervisor.close();
    await connection?.close();
    throw error;
  }
}

async function beginSupervisor({ rung, log, folder }: AgentOptions): Promise<Supervisor> {
  try {
    return await createSupervisor({
      rung,
      owner: folder.identity.instance,
      log: (level, message, fields) => {
        log[level](fields ?? {}, message);
      },
    });
  } catch (error) {
    throw new MeshError('meshrun_unusable', toError(error).message, error);
  }
}

async function dial({
  url,
  credentialFile,
  folder,
  log,
  signal,
  connectMs,
}: AgentOptions): Promise<MeshConnection> {
  const { id } = folder.identity;
  const credential = credentialFile === null ? null : await readCredential(credentialFile);
  return connect({
    url,
    credential,
    name: `agent ${id}`,
    log,
    signal,
    ...(connectMs === null ? {} : { deadlineMs: connectMs }),
    inboxPrefix: `_INBOX_${id}`,
  });
}

function registrationOf(
  options: AgentOptions,
  found: {
    readonly info: HostInfo;
    readonly hardware: Hardware;
    readonly supervisor: Supervisor;
    readonly reserved: readonly number[];
  },
): Registration {
  const { folder, slots, labels, accepts, logFile } = options;
  const { info, hardware, supervisor, reserved } = found;
  const { id: agent, instance, incarnation } = folder.identity;
  return {
    agent,
    instance,
    incarnation,
    version: manifest.version,
    ...info,
    ...(reserved.length === 0 ? {} : { reservedCpus: formatCpuList(reserved) }),
    pid: process.pid,
    slots: slots ?? info.cpus,
    rung: supervisor.rung,
    degraded: supervisor.degraded,
    stateDir: folder.dir,
    logFile,
    hardware,
    labels,
    ...(accepts === null ? {} : { accepts }),
    reads: [...READS],
  };
}

interface Parts {
  readonly connection: MeshConnection;
  readonly supervisor: Supervisor;
  readonly registration: Registration;
  readonly info: HostInfo;
  readonly discovery: Discovery;
  readonly hardware: Hardware;
  /** Null: nothing is bound. */
  readonly layout: CpuLayout | null;
  readonly reserved: readonly number[];
}

async function begin(options: AgentOptions, parts: Parts): Promise<RunningAgent> {
  const { folder, log, onFatal, limits } = options;
  const { connection, supervisor, registration, info, discovery, layout, reserved } = parts;
  const { agent, instance, incarnation } = registration;
  const clock = systemClock;
  const journalDir = join(folder.dir, 'journal');
  const outbox = await openOutbox({
    dir: join(journalDir, 'outbox'),
    store: eventStore(connection),
    instance,
    log,
    ...(limits.journalBytes === null ? {} : { maxBytes: limits.journalBytes }),
    onFenced: (by) => {
      onFatal(
        new MeshError('fenced', `another writer (instance ${by.instance}) owns ${by.subject}`),
      );
    },
  });
  const spoolBytes = limits.spoolBytes ?? hostSpoolBytes(registration.slots);
  const { ledger, events } = Ledger.open(journalDir, onFatal);
  const writer = { source: `/agents/${agent}`, instance, incarnation };
  const sink = new EventSink({
    outbox,
    writer,
    clock,
    log,
    onRecorded: (event) => {
      ledger.confirm(event);
    },
  });
  for (const event of events) sink.publish(event);
  const telemetry = startTelemetry({ agent, writer, connection, outbox, clock, log });
  const cpus = layout === null ? null : new CpuKeeper({ layout, reserved, supervisor });
  const host = new Host({
    info,
    slots: registration.slots,
    outbox,
    keepDays: limits.keepDays,
    hardware: parts.hardware,
    layout: layout === null ? null : withoutReserved(layout, reserved),
    onPinned: (pinned) => {
      cpus?.onPinned(pinned);
    },
    look: () => {
      discovery.look();
    },
    tell: (hardware) => {
      discovery.tell(hardware);
    },
    deps: {
      agent,
      instance,
      stateDir: folder.dir,
      bootId: info.bootId,
      proof: supervisor.rung,
      inheritedEnv: inheritedEnv(process.env),
      supervisor,
      ledger,
      sink,
      logStore: natsLogStore(connection),
      logPacer: new LogPacer(clock),
      spool: new SpoolBudget({ limitBytes: spoolBytes, slots: registration.slots, log }),
      fileStore: natsFileStore(connection),
      reports: new ReportPoller(),
      telemetry,
      metricSink: telemetry.sink,
      lookAtGpus: async () => {
        const { gpus, gpuProbes } = await discovery.now();
        const broken = gpuProbes.filter(({ state }) => state === 'failed' || state === 'waiting');
        const troubles = broken.map(
          ({ tool, state, reason }) => `${tool} ${state}: ${reason ?? ''}`,
        );
        return { gpus, troubles };
      },
      clock,
      log,
      onBug: (error) => {
        log.error({ err: error }, 'defect');
        onFatal(
          new MeshError('internal', `a defect ended the agent: ${toError(error).message}`, error),
        );
      },
    },
  });
  const adopted = host.restore();
  sink.tell(subjects.hostEvents(agent), 'agent.started', { registration, adopted });
  const presence = startPresence({ connection, registration, host, ledger, sink });
  const inspection = serveInspection({
    connection,
    agent,
    stateDir: folder.dir,
    clock,
    files: realProc,
    gpus: () => telemetry.gpus(),
    look: (ref) => host.look(ref),
    collections: host.collections,
  });
  const exec = serveExec({
    connection,
    agent,
    stateDir: folder.dir,
    rules: options.execRules,
    env: inheritedEnv(process.env),
    sink,
    clock,
    log,
  });
  const ignorePartition = watchPartition({ connection, host, clock });
  const changes = new ChangePublisher({ connection, registration, sink, log });
  const forgotten = new ForgottenWatch({ connection, registration, host, changes, onFatal });
  const onMissing = (): void => void forgotten.look();
  const mailbox = openMailbox(connection, agent, (message) => host.onMail(message), {
    onMissing,
    onRead: () => {
      host.onMailRead();
    },
  });
  if (host.isDraining()) host.sayDraining('drained before this start');
  const { slots, rung } = registration;
  const journal = outbox.stats();
  log.info(
    { agent, incarnation, slots, rung, adopted, registration, limits, journal },
    'agent started',
  );
  discovery.follow(
    (hardware, what) => {
      changes.publish(hardware, what);
    },
    (found) => host.onLook(found),
  );

  return {
    drain: (reason) => {
      host.drain(reason);
    },
    stopAttempts: (reason) => {
      host.stopAll({ by: `agent ${agent}`, reason });
    },
    waiting: () => host.waiting(),
    unproven: () => host.unproven(),
    onMoved: (listener) => {
      host.onMoved(listener);
    },
    stored: async () => {
      await outbox.flush();
    },
    close: async (reason) => {
      discovery.close();
      changes.close();
      forgotten.close();
      await mailbox.close();
      presence.stop();
      ignorePartition();
      inspection.stop();
      exec.stop();
      telemetry.close();
      host.close();
      supervisor.close();
      sink.tell(subjects.hostEvents(agent), 'agent.stopping', { reason });
      await Promise.all([flushed(outbox), telemetry.flushed()]);
      sink.close();
      await outbox.close();
      await ledger.close();
      await connection.close();
      log.info({ reason }, 'agent ended');
    },
  };
}

/** Waits a moment for what was appended; the journal keeps what is not stored by then. */
async function flushed(outbox: Outbox): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, FLUSH_MS);
  });
  await Promise.race([outbox.flush(), late]);
  clearTimeout(timer);
}
