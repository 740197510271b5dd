/**
 * The agent of a simulated host: the real Host with its attempts, ledger, sink and outbox, put together as
 * agent/agent.ts does, over a simulated disk, supervisor and server.
 */
import { ReportPoller } from '#agent/report/report-tail.ts';
import { Host } from '#agent/host/host.ts';
import { watchPartition } from '#agent/host/partition-watch.ts';
import type { LogStore } from '#agent/logs/log-store.ts';
import { LogPacer } from '#agent/logs/log-pacer.ts';
import { hostSpoolBytes, SpoolBudget } from '#agent/logs/spool-budget.ts';
import { EventSink } from '#agent/state/event-sink.ts';
import { Ledger } from '#agent/state/ledger.ts';
import type { Hardware } from '#protocol/messages/agent/hardware.ts';
import { READS, type Registration } from '#protocol/messages/agent/host.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { MailTaker } from '#protocol/nats/agents/mailbox.ts';
import { eventStore, openOutbox, type OutboxStore } from '#protocol/nats/outbox/outbox.ts';
import { lastMessage } from '#protocol/nats/streams/stream-read.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { mkdirSync } from 'node:fs';
import { ROOT } from '../world/disk.ts';
import { Link } from '../world/link.ts';
import type { Machine } from '../world/machine.ts';
import type { Mesh } from './mesh.ts';
import { simSupervisor } from '../world/supervisor.ts';
import { newOwner, type Owner } from '../world/world.ts';

const BEAT_MS = 2_000;
const LOOK_FOR_MAILBOX_MS = 500;
const FLUSH_MS = 2_000;
const NO_HARDWARE: Hardware = { ...goldenHardware(), gpus: [], gpuProbes: [] };

function goldenHardware(): Hardware {
  const { hardware } = goldenMessages['agent.changed'].registration;
  if (hardware === undefined) throw new Error('the golden registration has no hardware');
  return hardware;
}

export class SimAgent {
  readonly machine: Machine;
  incarnation = 0;
  owner: Owner | null = null;
  link: Link | null = null;
  host: Host | null = null;
  ledger: Ledger | null = null;
  /** Once it has begun. */
  close: (() => Promise<void>) | null = null;
  /** Until it may begin again. */
  restart: 'now' | 'later' = 'now';
  readonly #mesh: Mesh;

  constructor(mesh: Mesh, machine: Machine) {
    this.#mesh = mesh;
    this.machine = machine;
    mkdirSync(`${this.#dir}/journal`, { recursive: true });
    mkdirSync(`${this.#dir}/attempts`, { recursive: true });
  }

  get id(): string {
    return this.machine.id;
  }

  get isRunning(): boolean {
    return this.owner?.isAlive === true;
  }

  get #dir(): string {
    return `${ROOT}/${this.machine.id}`;
  }

  async start(): Promise<void> {
    if (this.isRunning || !this.machine.isUp) return;
    const { world, server } = this.#mesh;
    this.incarnation += 1;
    const owner = newOwner(`${this.id}.${this.incarnation}`, () => {
      world.trace(() => `${owner.name} is dead`);
      this.#onDeath(owner);
    });
    this.owner = owner;
    this.close = null;
    world.trace(() => `${owner.name} starts`);
    const link = new Link(world, server, owner, this.#mesh.taps);
    this.link = link;
    this.#mesh.links.add(link);
    await world.as(owner, () => {
      void this.#begin(owner, link).catch((error: unknown) => {
        this.#mesh.onBug(owner, error);
      });
    });
  }

  /** As `close` of agent/agent.ts. */
  leave(): void {
    const { owner, close } = this;
    if (owner?.isAlive !== true || close === null) return;
    this.close = null;
    this.#mesh.world.after(
      0,
      () => {
        void close().then(
          () => {
            this.#mesh.world.die(owner);
          },
          (error: unknown) => {
            this.#mesh.onBug(owner, error);
          },
        );
      },
      owner,
    );
  }

  kill(): void {
    if (this.owner !== null) this.#mesh.world.die(this.owner);
  }

  #onDeath(owner: Owner): void {
    if (this.link !== null) this.#mesh.links.delete(this.link);
    this.#mesh.server.mailboxes.get(this.id)?.wake();
    const { world } = this.#mesh;
    for (const step of this.machine.steps.values()) step.listen(null);
    world.after(
      world.between(10, 3_000),
      () => {
        if (this.owner === owner) void this.start();
      },
      null,
    );
  }

  /** As `begin` of agent/agent.ts. */
  async #begin(owner: Owner, link: Link): Promise<void> {
    const { machine } = this;
    const { world, server } = this.#mesh;
    const { clock } = machine;
    const agent = machine.id;
    const instance = `instance-${machine.id}`;
    const { incarnation } = this;
    const registration = this.#registration(instance);
    await this.#register(link, registration);
    const onBug = (error: unknown): void => {
      this.#mesh.onBug(owner, error);
    };
    const outbox = await openOutbox({
      dir: `${this.#dir}/journal/outbox`,
      store: this.#store(link),
      instance,
      log: silentLog,
      onFenced: (by) => {
        onBug(new Error(`fenced by ${by.instance} on ${by.subject}`));
      },
    });
    const { ledger, events } = Ledger.open(`${this.#dir}/journal`, onBug);
    this.ledger = ledger;
    const writer = { source: `/agents/${agent}`, instance, incarnation };
    const sink = new EventSink({
      outbox,
      writer,
      clock,
      log: silentLog,
      onRecorded: (event) => {
        ledger.confirm(event);
      },
    });
    for (const event of events) sink.publish(event);
    const supervisor = simSupervisor(machine, this.#mesh.taps);
    const reports = new ReportPoller();
    // Nothing of what benchmarks report is simulated.
    reports.add = () => undefined;
    const host = new Host({
      info: registration,
      slots: machine.slots,
      outbox,
      keepDays: 30,
      hardware: NO_HARDWARE,
      layout: null,
      onPinned: () => undefined,
      look: () => undefined,
      tell: () => undefined,
      deps: {
        agent,
        instance,
        stateDir: this.#dir,
        bootId: machine.bootId,
        proof: 'subreaper',
        inheritedEnv: {},
        supervisor,
        ledger,
        sink,
        logStore: NO_LOGS,
        logPacer: new LogPacer(clock),
        spool: new SpoolBudget({
          limitBytes: hostSpoolBytes(machine.slots),
          slots: machine.slots,
          log: silentLog,
        }),
        fileStore: UNUSED,
        reports,
        telemetry: {
          begin: nothing,
          end: nothing,
          summary: () => null,
          gpus: () => null,
          forget: nothing,
        },
        metricSink: { writer, offer: nothing },
        lookAtGpus: () => Promise.resolve({ gpus: [], troubles: [] }),
        clock,
        log: silentLog,
        onBug,
      },
    });
    this.host = host;
    const adopted = host.restore();
    sink.tell(subjects.hostEvents(agent), 'agent.started', { registration, adopted });
    this.#beat(host, registration, link);
    const ignorePartition = watchPartition({ connection: link, host, clock });
    let isReading = true;
    let isRead = false;
    const taker = new MailTaker((message) => host.onMail(message), nothing);
    const attach = (): void => {
      const mailbox = server.mailboxes.get(agent);
      if (mailbox === undefined || !link.isConnected()) {
        world.after(LOOK_FOR_MAILBOX_MS, attach);
        return;
      }
      mailbox.attach({
        deliver: (delivery) => {
          link.toProcess(() => {
            if (isReading) void taker.take(delivery).catch(onBug);
          });
        },
        answer: (arrive) => {
          if (world.touch() !== 'dead') link.toServer(arrive);
        },
        isReady: () => isReading && owner.isAlive && link.isConnected(),
      });
    };
    attach();
    const lookWhetherRead = (): void => {
      if (!owner.isAlive) return;
      link.toServer(() => {
        if (server.mailboxes.get(agent)?.isRead !== true) return;
        link.toProcess(() => {
          isRead = true;
          host.onMailRead();
        });
      });
      if (!isRead) world.after(LOOK_FOR_MAILBOX_MS, lookWhetherRead);
    };
    lookWhetherRead();
    link.onStatus((status) => {
      if (status === 'reconnected') server.mailboxes.get(agent)?.wake();
    });
    if (host.isDraining()) host.sayDraining('drained before this start');
    this.close = async () => {
      isReading = false;
      ignorePartition();
      host.close();
      supervisor.close();
      sink.tell(subjects.hostEvents(agent), 'agent.stopping', { reason: 'r' });
      const late = new Promise((resolve) => {
        world.after(FLUSH_MS, () => {
          resolve(null);
        });
      });
      await Promise.race([outbox.flush(), late]);
      sink.close();
      await outbox.close();
      await ledger.close();
      await link.close();
    };
  }

  #store(link: Link): OutboxStore {
    return {
      ...eventStore(link),
      last: (subject) => lastMessage(link, 'BM_EVENTS', subject),
      maxPayloadBytes: () => 1024 * 1024,
    };
  }

  async #register(link: Link, registration: Registration): Promise<void> {
    const data = new TextEncoder().encode(JSON.stringify(registration));
    await link.whenConnected();
    await new Promise<void>((resolve) => {
      link.toServer(() => {
        this.#mesh.server.register(this.id, data);
      });
      this.#mesh.world.after(5, resolve);
    });
    // It asks until it is stored.
    if ((this.#mesh.server.registry.get(this.id)?.data ?? null) === null)
      await this.#register(link, registration);
  }

  #registration(instance: string): Registration {
    const { registration } = goldenMessages['agent.started'];
    const { id: agent, hostId, slots, bootId } = this.machine;
    const { incarnation } = this;
    return {
      ...registration,
      agent,
      instance,
      incarnation,
      hostId,
      slots,
      cpus: slots,
      bootId,
      hardware: NO_HARDWARE,
      // One of a mesh is of a version that takes starts one at a time.
      ...(agent === 'a2' ? {} : { reads: [...READS] }),
    };
  }

  #beat(host: Host, { agent, instance, incarnation }: Registration, link: Link): void {
    const beat = { agent, instance, incarnation, ...host.counts(), diskFreeBytes: 1e12 };
    const body = new TextEncoder().encode(JSON.stringify(beat));
    link.toServer(() => {
      for (const listener of this.#mesh.beats.listeners) listener(agent, body);
    });
    this.#mesh.world.after(BEAT_MS, () => {
      this.#beat(
        host,
        { ...goldenMessages['agent.started'].registration, agent, instance, incarnation },
        link,
      );
    });
  }
}

const nothing = (): void => undefined;

/** Steps print nothing. */
const NO_LOGS: LogStore = {
  publish: () => Promise.reject(new Error('there is no output to be stored')),
  tail: () => Promise.resolve({ kind: 'none' }),
  whenReachable: () => Promise.resolve(),
  isClosed: () => false,
};

/** Nothing of it is simulated: whoever uses it must be simulated first. */
const UNUSED = new Proxy(
  {},
  {
    get: (_target, name) => {
      throw new Error(`${String(name)} is not simulated`);
    },
  },
) as never;
