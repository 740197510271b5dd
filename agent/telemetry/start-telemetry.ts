/** The sampler of this very host: /proc, nvidia-smi from PATH, BM_METRICS. */
import type { Writer } from '#protocol/messages/envelope.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import type { Outbox } from '#protocol/nats/outbox/outbox.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { createToolRunner } from '../discovery/tool-runner.ts';
import { AmdFeed } from './amd-feed.ts';
import { joinedFeeds } from './gpu-feed.ts';
import { MetricOutbox, type MetricSink } from './metric-outbox.ts';
import { natsMetricStore } from './metric-store.ts';
import { NvidiaFeed } from './nvidia-feed.ts';
import { realProc } from './proc-reader.ts';
import { EVERY_MS, Sampler } from './sampler.ts';
import type { Telemetry } from './telemetry.ts';

const TOOL_TIMEOUT_MS = 5_000;
/** Events that wait: more than a stop of a full host makes at once. */
const BEHIND_EVENTS = 1_000;
const FLUSH_MS = 500;

export interface TelemetryOptions {
  readonly agent: string;
  readonly writer: Writer;
  readonly connection: MeshConnection;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RunningTelemetry extends Telemetry {
  /** For what is measured elsewhere. */
  readonly sink: MetricSink;
  /** No sample is taken any more. */
  close(): void;
  /** Resolves when what was taken is stored, or after a moment. */
  flushed(): Promise<void>;
}

export function startTelemetry(options: TelemetryOptions): RunningTelemetry {
  const { agent, writer, connection, outbox: events, clock, log } = options;
  const abort = new AbortController();
  const outbox = new MetricOutbox({
    store: natsMetricStore(connection),
    isBehind: () => events.stats().unstored > BEHIND_EVENTS,
    clock,
    log,
  });
  const run = createToolRunner(TOOL_TIMEOUT_MS, abort.signal);
  const nowMs = (): number => clock.now().monotonicMs;
  const gpus = joinedFeeds([
    new NvidiaFeed({ run, everyMs: EVERY_MS, nowMs }),
    new AmdFeed({ run, nowMs }),
  ]);
  const sampler = new Sampler({ agent, writer, files: realProc, gpus, outbox, clock, log });
  return {
    sink: {
      writer,
      offer: (batch) => {
        outbox.offer(batch);
      },
    },
    begin: (attempt, stepDir) => {
      sampler.begin(attempt, stepDir);
    },
    end: (key, stepDir, usedMs) => {
      sampler.end(key, stepDir, usedMs);
    },
    summary: (key) => sampler.summary(key),
    gpus: () => sampler.gpus(),
    forget: (key) => {
      sampler.forget(key);
    },
    close: () => {
      abort.abort();
      sampler.close();
    },
    flushed: () => outbox.close(FLUSH_MS),
  };
}
