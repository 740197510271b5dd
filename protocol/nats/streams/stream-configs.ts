/**
 * Streams and buckets of the mesh, as data (design section 3). `streams.ts` makes them and compares
 * what the server made with what is asked here, field by field.
 */
import { nanos } from '@nats-io/transport-node';
import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig } from '@nats-io/jetstream';

export const STREAMS = {
  commands: 'BM_COMMANDS',
  events: 'BM_EVENTS',
  logs: 'BM_LOGS',
  metrics: 'BM_METRICS',
  files: 'BM_FILES',
  snapshots: 'BM_SNAPSHOTS',
  agents: 'KV_BM_AGENTS',
  leases: 'KV_BM_LEASES',
} as const;

/** Subject of a key of a bucket. */
export const keys = {
  agent: (agent: string) => `$KV.BM_AGENTS.${agent}`,
  agents: () => '$KV.BM_AGENTS.>',
  lease: (name: string) => `$KV.BM_LEASES.${name}`,
} as const;

export interface StreamLimits {
  /** Disk for all streams together, in bytes. The embedded server's is `maxStoreBytes`. */
  readonly totalBytes: number;
}

export const DEFAULT_LIMITS: StreamLimits = { totalBytes: 4 * 1024 ** 3 };

/** The fields asked for; every one of them is compared. */
export type AskedConfig = Partial<StreamConfig> & Pick<StreamConfig, 'name' | 'subjects'>;

/**
 * A full stream refuses (`discard: new`) where losing old messages would break the fold or a log
 * (I2, I7); only metrics, which are summarised elsewhere, drop their oldest.
 */
export function streamConfigs(limits: StreamLimits): AskedConfig[] {
  const share = (fraction: number): number => Math.floor(limits.totalBytes * fraction);
  return [
    {
      ...COMMON,
      name: STREAMS.commands,
      subjects: ['bm.v1.cmd.>'],
      max_bytes: share(0.05),
      // Starts carry a TTL below 7 days, stops `never` (I5); no age limit cuts either.
      allow_msg_ttl: true,
      duplicate_window: nanos(120_000),
    },
    {
      ...COMMON,
      name: STREAMS.events,
      subjects: [
        'bm.v1.evt.agent.*.*.*.*',
        'bm.v1.evt.agent.*.host',
        'bm.v1.evt.ack.*.*',
        'bm.v1.evt.run.*',
        'bm.v1.evt.task.*.*',
        'bm.v1.evt.fleet.*',
        'bm.v1.evt.leader',
      ],
      max_bytes: share(0.2),
      duplicate_window: nanos(120_000),
    },
    {
      ...COMMON,
      name: STREAMS.logs,
      subjects: ['bm.v1.log.*.*.*.*'],
      max_bytes: share(0.5),
      duplicate_window: nanos(120_000),
    },
    {
      ...COMMON,
      name: STREAMS.metrics,
      subjects: ['bm.v1.met.*.*.*.*', 'bm.v1.met.*.host'],
      max_bytes: share(0.05),
      max_age: nanos(6 * 3_600_000),
      discard: DiscardPolicy.Old,
      duplicate_window: nanos(120_000),
    },
    {
      ...COMMON,
      name: STREAMS.files,
      subjects: ['bm.v1.file.*.*.*'],
      max_bytes: share(0.13),
      duplicate_window: nanos(120_000),
    },
    {
      ...COMMON,
      ...BUCKET,
      name: STREAMS.agents,
      subjects: ['$KV.BM_AGENTS.>'],
      max_bytes: share(0.01),
      duplicate_window: nanos(120_000),
    },
    {
      ...COMMON,
      ...BUCKET,
      name: STREAMS.leases,
      subjects: ['$KV.BM_LEASES.>'],
      max_bytes: share(0.01),
      allow_msg_ttl: true,
      // Without a marker a watcher never hears that a key expired (facts 3.12).
      subject_delete_marker_ttl: nanos(10_000),
      duplicate_window: nanos(120_000),
    },
  ];
}

/**
 * Made with the first snapshot: a mesh without large runs never has it. What it may hold is what the shares of
 * the others leave.
 */
export function snapshotConfig({ totalBytes }: StreamLimits): AskedConfig {
  return {
    ...COMMON,
    name: STREAMS.snapshots,
    subjects: ['bm.v1.snapshot.>'],
    max_bytes: Math.floor(totalBytes * 0.024),
    duplicate_window: nanos(120_000),
  };
}

const COMMON = {
  retention: RetentionPolicy.Limits,
  storage: StorageType.File,
  discard: DiscardPolicy.New,
  num_replicas: 1,
  allow_direct: true,
  no_ack: false,
  max_msgs: -1,
  max_age: 0,
  max_msgs_per_subject: -1,
  allow_rollup_hdrs: false,
  deny_delete: false,
  deny_purge: false,
  allow_msg_ttl: false,
} satisfies Partial<StreamConfig>;

/** What makes a stream a key-value bucket with one value per key. */
const BUCKET = { max_msgs_per_subject: 1, allow_rollup_hdrs: true } satisfies Partial<StreamConfig>;
