/** The lease in its own thread: kept while the coordinator is busy, left while it hangs. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contendInThread } from '#coordinator/lease/lease-thread.ts';
import { leaseHolder, type LeaseContender } from '#protocol/nats/leader/lease.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { startTestServer, type TestServer } from '#test/support/nats-server.ts';
import { until } from '#test/support/until.ts';

const TTL_MS = 2_000;

let server: TestServer;
let connection: MeshConnection;

beforeAll(async () => {
  server = await startTestServer();
  connection = await server.connect();
});

afterAll(async () => {
  await server.close();
});

interface Contending {
  readonly lease: LeaseContender;
  readonly told: string[];
}

function contend(name: string, stalledMs?: number): Contending {
  const told: string[] = [];
  const lease = contendInThread({
    ...{ name, holder: name, description: name, ttlMs: TTL_MS, log: silentLog },
    ...{ url: server.url, credential: server.credentialFile },
    ...(stalledMs === undefined ? {} : { stalledMs }),
    onAcquired: () => told.push('acquired'),
    onLost: () => told.push('lost'),
    onStandby: () => told.push('standby'),
    onBug: (error) => told.push(String(error)),
  });
  return { lease, told };
}

/** Nothing of this thread runs meanwhile. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('is kept by a coordinator that is busy for longer than it lasts, and given back at the end', async () => {
  const { lease, told } = contend('busy');
  await until(() => lease.isLeading(), 'the lease');
  block(3 * TTL_MS);
  expect(lease.isLeading()).toBe(true);
  await until(() => told.length > 0, 'the word of it');
  expect((await leaseHolder(connection, 'busy'))?.holder).toBe('busy');
  await lease.stop();
  expect(lease.isLeading()).toBe(false);
  expect(await leaseHolder(connection, 'busy')).toBeNull();
  expect(told).toEqual(['acquired']);
});

test('is left by a coordinator that hangs, and taken again when it goes on', async () => {
  const { lease, told } = contend('hangs', 1_500);
  await until(() => lease.isLeading(), 'the lease');
  block(3 * TTL_MS);
  expect(lease.isLeading()).toBe(false);
  await until(() => lease.isLeading(), 'the lease again');
  await until(() => told.length === 3, 'the word of it');
  expect(told).toEqual(['acquired', 'lost', 'acquired']);
  await lease.stop();
});
