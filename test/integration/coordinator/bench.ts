/** What the coordinator's integration tests share: a server, a coordinator in this process, a suite. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCoordinator, type Coordinator } from '#coordinator/coordinator.ts';
import type { SnapshotPort } from '#coordinator/snapshot/snapshot-port.ts';
import { InfoReply, SubmitReply, type SubmitRequest } from '#protocol/messages/run/api.ts';
import { decode, encode } from '#protocol/messages/envelope.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { newId, newRunId } from '#protocol/messages/ids.ts';
import type { StopCommand } from '#protocol/messages/run/command.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { call } from '#protocol/nats/rpc.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { systemClock } from '#protocol/runtime/clock.ts';
import { goldenSuite } from '#test/support/golden-messages.ts';
import { startTestServer, type TestServer } from '#test/support/nats-server.ts';
import { until } from '#test/support/until.ts';

export interface CoordinatorBench {
  readonly server: TestServer;
  readonly connection: MeshConnection;
  readonly resultsDir: string;
  /** A coordinator of its own connection; `kill` cuts it off without a word. */
  coordinator(id?: string, snapshots?: SnapshotPort): Promise<RunningCoordinator>;
  submit(suite: SuiteSpec, more?: Partial<SubmitRequest>): Promise<SubmitReply>;
  stop(run: string, more?: Partial<StopCommand>): Promise<{ command: string; sequence: number }>;
  info(): Promise<InfoReply>;
  events(filters?: readonly string[]): Promise<EventRecord[]>;
  commands(filters?: readonly string[]): Promise<EventRecord[]>;
  close(): Promise<void>;
}

export interface RunningCoordinator {
  readonly coordinator: Coordinator;
  readonly standbyOf: string[];
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export async function openBench(): Promise<CoordinatorBench> {
  const server = await startTestServer();
  const resultsDir = await mkdtemp(join(tmpdir(), 'benchmesh-results-'));
  const connection = await server.connect('operator');
  const running = new Set<RunningCoordinator>();
  const bugs: unknown[] = [];

  const read = async (stream: string, filters: readonly string[]): Promise<EventRecord[]> => {
    const records: EventRecord[] = [];
    await readAll(connection, { stream, filters }, ({ subject, sequence, timeMs, data }) => {
      const decoded = decode(data);
      if (decoded.kind === 'ok')
        records.push({ subject, sequence, timeMs, message: decoded.message });
    });
    return records;
  };

  return {
    server,
    connection,
    resultsDir,
    coordinator: async (id = 'c1', snapshots) => {
      const own = await server.connect(`coordinator ${id}`);
      const standbyOf: string[] = [];
      const coordinator = await startCoordinator({
        connection: own,
        id,
        host: 'testhost',
        pid: process.pid,
        version: '0.1.0',
        resultsDir,
        logFile: '',
        log: silentLog,
        clock: systemClock,
        ...(snapshots === undefined ? {} : { snapshots }),
        leaseTtlMs: 1_000,
        timing: {
          purgeAfterMs: 500,
          strayAfterMs: 500,
          agentLeaseMs: 2_500,
          logGoneMs: 500,
          sweepEveryMs: 500,
          replacedAfterMs: 1_000,
          preemptAfterMs: 10_000,
          startsKept: 20,
          cordonAfter: 0,
        },
        onStandby: ({ description }) => standbyOf.push(description),
        onBug: (error) => bugs.push(error),
      });
      const one: RunningCoordinator = {
        coordinator,
        standbyOf,
        kill: async () => {
          running.delete(one);
          await own.nats.close();
          await coordinator.stop();
        },
        stop: async () => {
          running.delete(one);
          await coordinator.stop();
          await own.close();
        },
      };
      running.add(one);
      return one;
    },
    submit: async (suite, more = {}) => {
      const request: SubmitRequest = {
        run: newRunId(new Date()),
        suite,
        suiteText: 'name: test\n',
        suiteFile: null,
        by: 'tester@testhost',
        ifBusy: 'queue',
        labels: {},
        ...more,
      };
      const answer = await until(async () => {
        try {
          return { reply: await call(connection, 'submit', request, 5_000) };
        } catch (error) {
          return isNobody(error) ? null : { error };
        }
      }, 'a coordinator that takes the run');
      if ('error' in answer) throw answer.error;
      return SubmitReply.parse(answer.reply);
    },
    stop: async (run, more = {}) => {
      const data: StopCommand = {
        run,
        task: null,
        graceMs: null,
        now: false,
        by: 'tester@testhost',
        reason: null,
        ...more,
      };
      const command = newId();
      const writer = { source: '/operators/tester@testhost' };
      const payload = encode({
        name: 'command.stop',
        data,
        id: command,
        timeMs: Date.now(),
        writer,
      });
      const outcome = await publishEvent(connection, subjects.stop(), payload, { ttl: 'never' });
      if (outcome.kind !== 'stored') throw new Error(`the stop was not stored: ${outcome.kind}`);
      return { command, sequence: outcome.sequence };
    },
    info: async () => InfoReply.parse(await call(connection, 'info', {})),
    events: (filters = ['bm.v1.evt.>']) => read(STREAMS.events, filters),
    commands: (filters = ['bm.v1.cmd.>']) => read(STREAMS.commands, filters),
    close: async () => {
      for (const one of [...running]) await one.stop();
      await server.close();
      await rm(resultsDir, { recursive: true, force: true });
      if (bugs.length > 0) throw new AggregateError(bugs, 'defects of the coordinator');
    },
  };
}

function isNobody(error: unknown): boolean {
  return (
    error instanceof MeshError && (error.code === 'no_coordinator' || error.code === 'timed_out')
  );
}

/** `count` independent tasks that share the host. */
export function sharedSuite(count: number, more: Partial<SuiteSpec> = {}): SuiteSpec {
  return {
    ...goldenSuite,
    axes: { item: Array.from({ length: count }, (_, item) => item) },
    include: [],
    exclude: [],
    repeats: 1,
    steps: goldenSuite.steps.map((step) => ({ ...step, argv: ['true'] })),
    needs: { slots: 1, cpus: 0, exclusive: false },
    retries: {},
    ...more,
  };
}
