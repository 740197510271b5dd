/**
 * Makes the streams and buckets, or finds them, and compares each returned config with the one
 * asked for: a server drops what it does not know without an error (facts 3.13).
 */
import {
  JetStreamApiError,
  jetstreamManager,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { MeshError, toError } from '../../messages/errors.ts';
import type { MeshConnection } from '../connection.ts';
import {
  DEFAULT_LIMITS,
  snapshotConfig,
  streamConfigs,
  type AskedConfig,
  type StreamLimits,
} from './stream-configs.ts';

export { STREAMS, streamConfigs, type StreamLimits } from './stream-configs.ts';

export interface StreamDifference {
  readonly stream: string;
  readonly field: string;
  readonly asked: unknown;
  readonly got: unknown;
  /** False for a limit that is only a matter of size or of this host's disk. */
  readonly breaks: boolean;
}

/** Sizes: another value is somebody's choice, not a defect. */
const SIZES: ReadonlySet<string> = new Set(['max_bytes', 'num_replicas', 'max_age']);
/** The server leaves these out of its answer when they are off. */
const ABSENT_MEANS: Readonly<Record<string, unknown>> = {
  no_ack: false,
  allow_msg_ttl: false,
  subject_delete_marker_ttl: 0,
  max_age: 0,
};
const NO_STORAGE = 10047;
const NAME_IN_USE = 10058;

/**
 * Makes what is missing, verifies what is there. Resolves with the differences that do not matter;
 * rejects with MeshError `stream_config_mismatch` (stream, field, asked, got), `disk_full` where the
 * server's limit is too small for the streams, or `mesh_unreachable`. Never changes a stream.
 */
export async function ensureStreams(
  connection: MeshConnection,
  limits: StreamLimits = DEFAULT_LIMITS,
): Promise<StreamDifference[]> {
  const differences = await eachStream(connection, limits, async (manager, asked) =>
    compareConfig(asked, await addStream(manager, asked)),
  );
  const broken = differences.find((difference) => difference.breaks);
  if (broken !== undefined) throw mismatch(broken);
  return differences;
}

/** Makes the stream of snapshots, or finds it. Rejects as `ensureStreams`. */
export async function ensureSnapshots(connection: MeshConnection): Promise<void> {
  try {
    const manager = await jetstreamManager(connection.nats, { checkAPI: false });
    await addStream(manager, snapshotConfig(DEFAULT_LIMITS));
  } catch (error) {
    throw streamError(error, connection.url);
  }
}

/** Compares only, for `doctor`. A missing stream is a difference with field `name`. */
export function compareStreams(
  connection: MeshConnection,
  limits: StreamLimits = DEFAULT_LIMITS,
): Promise<StreamDifference[]> {
  return eachStream(connection, limits, async (manager, asked) => {
    const found = await findStream(manager, asked.name);
    if (found !== null) return compareConfig(asked, found);
    return [{ stream: asked.name, field: 'name', asked: asked.name, got: null, breaks: true }];
  });
}

async function eachStream(
  connection: MeshConnection,
  limits: StreamLimits,
  look: (manager: JetStreamManager, asked: AskedConfig) => Promise<StreamDifference[]>,
): Promise<StreamDifference[]> {
  try {
    const manager = await jetstreamManager(connection.nats, { checkAPI: false });
    const differences: StreamDifference[] = [];
    for (const asked of streamConfigs(limits)) differences.push(...(await look(manager, asked)));
    return differences;
  } catch (error) {
    throw streamError(error, connection.url);
  }
}

async function addStream(manager: JetStreamManager, asked: AskedConfig): Promise<StreamConfig> {
  const found = await findStream(manager, asked.name);
  if (found !== null) return found;
  try {
    // A copy: the client writes into what it is given.
    return (await manager.streams.add({ ...asked })).config;
  } catch (error) {
    // Somebody made it between our look and our add.
    if (error instanceof JetStreamApiError && error.code === NAME_IN_USE) {
      return (await manager.streams.info(asked.name)).config;
    }
    throw error;
  }
}

async function findStream(manager: JetStreamManager, name: string): Promise<StreamConfig | null> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return null;
    throw error;
  }
}

/** The fields of `asked` in which `got` differs. */
export function compareConfig(asked: AskedConfig, got: Partial<StreamConfig>): StreamDifference[] {
  const returned = new Map<string, unknown>(Object.entries(got));
  return Object.entries(asked).flatMap(([field, want]: [string, unknown]) => {
    const have = returned.get(field) ?? ABSENT_MEANS[field] ?? null;
    if (isSame(want, have)) return [];
    return [{ stream: asked.name, field, asked: want, got: have, breaks: !SIZES.has(field) }];
  });
}

function isSame(want: unknown, have: unknown): boolean {
  if (Array.isArray(want) && Array.isArray(have)) return sorted(want) === sorted(have);
  return want === have;
}

function sorted(list: readonly unknown[]): string {
  return JSON.stringify(list.map((item) => JSON.stringify(item)).sort());
}

function mismatch({ stream, field, asked, got }: StreamDifference): MeshError {
  return new MeshError(
    'stream_config_mismatch',
    `stream ${stream}: ${field} is ${JSON.stringify(got)}, benchmesh needs ${JSON.stringify(asked)}: mend it with the nats tool, or use a server that knows the field`,
  );
}

function streamError(error: unknown, url: string): MeshError {
  if (error instanceof MeshError) return error;
  const { name, message } = toError(error);
  // The client exports no class for it.
  if (name === 'JetStreamNotEnabled') {
    return new MeshError(
      'jetstream_disabled',
      `JetStream is not enabled for this account at ${url}`,
      error,
    );
  }
  if (error instanceof JetStreamApiError && error.code === NO_STORAGE) {
    return new MeshError(
      'disk_full',
      `the server at ${url} has not enough storage for the streams of the mesh (${error.message}): raise its max_file_store`,
      error,
    );
  }
  if (name === 'PermissionViolationError' || message.includes('Permissions Violation')) {
    return new MeshError('not_permitted', `the credential may not manage streams at ${url}`, error);
  }
  return new MeshError(
    'mesh_unreachable',
    `the server at ${url} did not answer: ${message}`,
    error,
  );
}
