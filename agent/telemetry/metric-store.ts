/** Samples into BM_METRICS. */
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import type { MetricStore } from './metric-outbox.ts';

export function natsMetricStore(connection: MeshConnection): MetricStore {
  return {
    publish: (subject, payload, messageId) =>
      publishEvent(connection, subject, payload, { messageId }),
    whenReachable: () => connection.whenConnected(),
  };
}
