/**
 * An agent that speaks the wire and runs nothing: it registers, sends heartbeats, reads its mailbox
 * and reports what the test says becomes of each attempt. It keeps the rules a coordinator relies
 * on: a start overtaken by a stop is refused, a repeated command is done once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { StopCommand } from '#protocol/messages/run/command.ts';
import { decode, encode } from '#protocol/messages/envelope.ts';
import type { Registration, StoppedAttempt } from '#protocol/messages/agent/host.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { formatChunks, LOG_HEADERS } from '#protocol/messages/attempt/log.ts';
import { parseSubject, subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { publishHeartbeat } from '#protocol/nats/agents/heartbeat.ts';
import { openMailbox, type Mailbox } from '#protocol/nats/agents/mailbox.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { registerAgent } from '#protocol/nats/agents/registry.ts';

export interface Played {
  readonly outcome?: AttemptExited['outcome'];
  readonly class?: AttemptExited['class'];
  readonly log?: Uint8Array;
  readonly metrics?: AttemptExited['metrics'];
  /** Runs until stopped, or until `finish` is called. */
  readonly holds?: boolean;
  /** Files it says are stored, though no chunk of them is, and files it says it could not store. */
  readonly stored?: readonly StoredFile[];
  readonly filesLost?: AttemptExited['filesLost'];
  /** Its log never reaches the stream. */
  readonly losesLog?: boolean;
  /** Says it exited, but cannot prove that all is gone. */
  readonly unproven?: boolean;
}

export interface FakeAgentOptions {
  readonly id?: string;
  readonly hostId?: string;
  readonly slots?: number;
  readonly play?: (spec: AttemptSpec) => Played;
}

interface Held {
  readonly spec: AttemptSpec;
  readonly played: Played;
  /** Lets it end, as played or stopped; resolves when it has said so. */
  readonly end: (isStopped: boolean) => Promise<void>;
}

const encoder = new TextEncoder();

export class FakeAgent {
  readonly id: string;
  /** Every attempt that began, as `run/task#n`: a second time for one is a defect. */
  readonly begun: string[] = [];
  readonly commands: { name: MessageName; id: string; sequence: number }[] = [];
  readonly #options: FakeAgentOptions;
  readonly #connection: MeshConnection;
  readonly #seen = new Set<string>();
  readonly #newestStop = new Map<string, number>();
  readonly #held = new Map<string, Held>();
  readonly #work = new Set<Promise<void>>();
  #mailbox: Mailbox | null = null;
  #beating = true;
  #closed = false;

  constructor(connection: MeshConnection, options: FakeAgentOptions = {}) {
    this.#connection = connection;
    this.#options = options;
    this.id = options.id ?? 'a1';
  }

  registration(): Registration {
    return {
      agent: this.id,
      instance: `instance-${this.id}`,
      incarnation: 1,
      version: '0.1.0',
      hostId: this.#options.hostId ?? `host-${this.id}`,
      hostname: 'testhost',
      address: '127.0.0.1',
      pid: process.pid,
      bootId: 'boot',
      os: 'linux',
      kernel: '6',
      cpuModel: 'cpu',
      cpus: this.#options.slots ?? 2,
      memoryMiB: 1024,
      slots: this.#options.slots ?? 2,
      rung: 'subreaper',
      degraded: null,
      stateDir: '/state',
      logFile: '/state/log',
    };
  }

  async start(): Promise<this> {
    const registration = this.registration();
    const data = encoder.encode(JSON.stringify(registration));
    await registerAgent(this.#connection, {
      agent: this.id,
      instance: registration.instance,
      data,
    });
    await this.#say(subjects.hostEvents(this.id), 'agent.started', { registration, adopted: 0 });
    this.#mailbox = openMailbox(this.#connection, this.id, async (message) => {
      const decoded = decode(message.data);
      if (decoded.kind === 'rejected') return 'term';
      const { name, id } = decoded.message;
      this.commands.push({ name, id, sequence: message.sequence });
      if (this.#seen.has(id)) return 'ack';
      this.#seen.add(id);
      if (decoded.message.name === 'command.start') {
        this.#onStart(decoded.message.data.spec, decoded.message.data.afterStop, id);
      } else if (decoded.message.name === 'command.stop') {
        await this.#onStop(decoded.message.data, { id, sequence: message.sequence });
      }
      return 'ack';
    });
    void this.#beat();
    return this;
  }

  /** Falls silent, as a host that vanished. */
  silence(on: boolean): void {
    this.#beating = !on;
  }

  /** Lets attempts that hold end; `task` none: all. */
  finish(task?: string): void {
    for (const [key, held] of [...this.#held]) {
      if (task !== undefined && held.spec.task !== task) continue;
      this.#held.delete(key);
      void held.end(false);
    }
  }

  held(): string[] {
    return [...this.#held.keys()];
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.finish();
    await this.#mailbox?.close();
    await Promise.allSettled(this.#work);
  }

  async #beat(): Promise<void> {
    while (!this.#closed && !this.#connection.isClosed()) {
      const { agent, instance, incarnation } = this.registration();
      const beat = { agent, instance, incarnation, running: 0, queued: 0, diskFreeBytes: 1 };
      if (this.#beating)
        publishHeartbeat(this.#connection, this.id, encoder.encode(JSON.stringify(beat)));
      await delay(200);
    }
  }

  #onStart(spec: AttemptSpec, afterStop: number, command: string): void {
    const newest = Math.max(
      this.#newestStop.get(spec.run) ?? 0,
      this.#newestStop.get(`${spec.run}/${spec.task}`) ?? 0,
    );
    const work =
      afterStop < newest
        ? this.#exit(spec, { outcome: 'stopped' }, 'overtaken by a stop')
        : this.#run(spec, command);
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  async #run(spec: AttemptSpec, command: string): Promise<void> {
    const key = attemptKey(spec);
    const played = this.#options.play?.(spec) ?? {};
    this.begun.push(key);
    const subject = subjects.attemptEvents(this.id, spec);
    let release = (_isStopped: boolean): void => undefined;
    const held = new Promise<boolean>((resolve) => (release = resolve));
    let leave = (): void => undefined;
    const left = new Promise<void>((resolve) => (leave = resolve));
    if (played.holds === true) {
      const end = (isStopped: boolean): Promise<void> => {
        release(isStopped);
        return left;
      };
      this.#held.set(key, { spec, played, end });
    }
    const accepted = { elapsedMs: 0, command, host: 'testhost', address: '127.0.0.1' };
    await this.#say(subject, 'attempt.accepted', accepted);
    await this.#say(subject, 'attempt.step_started', {
      elapsedMs: 1,
      step: 'run',
      id: 'run',
      pid: 1,
    });
    for (const file of played.stored ?? [])
      await this.#say(subject, 'attempt.file_stored', { elapsedMs: 1, file });
    const isStopped = played.holds === true && (await held);
    if (isStopped) await this.#exit(spec, { ...played, outcome: 'stopped' }, 'stopped');
    else if (!this.#closed) await this.#exit(spec, played, null);
    leave();
  }

  async #exit(spec: AttemptSpec, played: Played, reason: string | null): Promise<void> {
    const outcome = played.outcome ?? 'passed';
    const log = played.log ?? new Uint8Array();
    await this.#say(subjects.attemptEvents(this.id, spec), 'attempt.exited', {
      elapsedMs: 2,
      outcome,
      stage: outcome === 'failed' ? 'run' : null,
      class: played.class ?? (outcome === 'failed' ? 'exit' : null),
      reason,
      stop: null,
      steps: [],
      metrics: played.metrics ?? [],
      logBytes: log.length,
      logGaps: [],
      teardownFailure: null,
      ...(played.filesLost === undefined ? {} : { filesLost: played.filesLost }),
      proven: played.unproven !== true,
      survivors: [],
    });
    if (played.losesLog !== true) await this.#ship(spec, log);
  }

  /** After the exit on purpose: the archive has to wait for it. Every second batch comes twice. */
  async #ship(spec: AttemptSpec, log: Uint8Array): Promise<void> {
    const batch = 65_536;
    for (let offset = 0; offset < log.length; offset += batch) {
      const data = log.subarray(offset, offset + batch);
      const half = Math.floor(data.length / 2);
      const chunks = [
        { stream: 'stdout' as const, bytes: half, arrivalMs: 1_000 },
        { stream: 'stderr' as const, bytes: data.length - half, arrivalMs: 1_001 },
      ];
      const headers = {
        [LOG_HEADERS.offset]: String(offset),
        [LOG_HEADERS.step]: 'run',
        [LOG_HEADERS.chunks]: formatChunks(chunks),
      };
      const times = (offset / batch) % 2 === 1 ? 2 : 1;
      for (let time = 0; time < times; time += 1)
        await this.#store(subjects.log(this.id, spec), data, headers);
    }
  }

  async #onStop(stop: StopCommand, at: { id: string; sequence: number }): Promise<void> {
    const target = stop.task === null ? stop.run : `${stop.run}/${stop.task}`;
    this.#newestStop.set(target, Math.max(at.sequence, this.#newestStop.get(target) ?? 0));
    const hit = [...this.#held].filter(
      ([, { spec }]) => spec.run === stop.run && (stop.task === null || spec.task === stop.task),
    );
    const subject = subjects.ack(this.id, at.id);
    await this.#say(subject, 'command.received', { kind: 'stop', attempts: hit.length });
    const attempts: StoppedAttempt[] = [];
    for (const [key, { spec, played, end }] of hit) {
      this.#held.delete(key);
      await end(true);
      const proven = played.unproven !== true;
      const { run, task, n } = spec;
      attempts.push({
        run,
        task,
        n,
        processes: 1,
        signal: 'SIGTERM',
        goneMs: 1,
        proof: 'subreaper',
        proven,
        survivors: [],
      });
    }
    await this.#say(subject, 'command.stop_done', { run: stop.run, task: stop.task, attempts });
  }

  #say<N extends MessageName>(subject: string, name: N, data: MessageData<N>): Promise<void> {
    const { instance, incarnation } = this.registration();
    const payload = encode({
      name,
      data,
      id: `${this.id}-${crypto.randomUUID()}`,
      timeMs: Date.now(),
      writer: { source: `/agents/${this.id}`, instance, incarnation },
    });
    return this.#store(subject, payload);
  }

  async #store(
    subject: string,
    payload: Uint8Array,
    headers: Record<string, string> = {},
  ): Promise<void> {
    const messageId = crypto.randomUUID();
    while (!this.#connection.isClosed()) {
      const outcome = await publishEvent(this.#connection, subject, payload, {
        headers,
        ...(headers[LOG_HEADERS.offset] === undefined ? { messageId } : {}),
      });
      if (outcome.kind === 'stored') return;
      if (parseSubject(subject) === null) throw new Error(`no subject of the mesh: ${subject}`);
      await delay(20);
    }
  }
}
