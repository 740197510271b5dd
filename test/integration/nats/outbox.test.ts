import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { eventStore, openOutbox, type FencedBy, type Outbox } from '#protocol/nats/outbox/outbox.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { seqsBySubject, storedIn, upTo } from '#test/support/nats-messages.ts';
import { startChild } from '#test/support/nats-process.ts';
import { startTestServer, type TestServer } from '#test/support/nats-server.ts';
import { until } from '#test/support/until.ts';

const encoder = new TextEncoder();

describe('outbox on a real server', () => {
  let server: TestServer;
  let connection: MeshConnection;
  let dir: string;
  const fenced: FencedBy[] = [];

  beforeAll(async () => {
    server = await startTestServer();
    connection = await server.connect('outbox');
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'benchmesh-outbox-'));
    fenced.length = 0;
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const open = (instance: string, journal = dir): Promise<Outbox> =>
    openOutbox({
      dir: journal,
      store: eventStore(connection),
      instance,
      log: silentLog,
      onFenced: (by) => fenced.push(by),
    });
  const append = (outbox: Outbox, subject: string): ReturnType<Outbox['append']> =>
    outbox.append(subject, (seq) => encoder.encode(`${subject} ${seq}`));

  it('stores everything once and in order while the server is killed three times', async () => {
    const outbox = await open('one');
    const subjects = upTo(20).map((n) => `bm.v1.evt.agent.kill.run.t${n}.1`);
    const total = 6_000;
    let appended = 0;
    const appending = (async () => {
      while (appended < total) {
        const chunk = upTo(20).map((n) => append(outbox, subjects[n - 1] ?? ''));
        appended += (await Promise.all(chunk)).length;
      }
    })();
    for (const at of [500, 2_000, 4_000]) {
      await until(() => appended >= at || null, `${at} appended`);
      await server.restart();
    }
    await appending;
    expect(await outbox.flush()).toBe('stored');
    await outbox.close();
    const stored = await storedIn(connection, 'BM_EVENTS', 'bm.v1.evt.agent.kill.>');
    const seqs = seqsBySubject(stored);
    for (const subject of subjects) expect(seqs.get(subject), subject).toEqual(upTo(total / 20));
  });

  it('stores what a killed process had recorded, once and in order', async () => {
    const recorded = new Map<string, number>();
    for (let round = 0; round < 3; round += 1) {
      const child = startChild(server, 'outbox', dir);
      await until(() => child.lines.length > 300 || null, 'the child to append');
      await child.end();
      for (const line of child.lines) {
        const [subject = '', seq] = line.split(' ');
        recorded.set(subject, Math.max(recorded.get(subject) ?? 0, Number(seq)));
      }
    }
    const outbox = await open('child');
    expect(await outbox.flush()).toBe('stored');
    await outbox.close();
    const stored = await storedIn(connection, 'BM_EVENTS', 'bm.v1.evt.agent.child.>');
    const seqs = seqsBySubject(stored);
    expect(seqs.size).toBe(10);
    for (const [subject, last] of recorded) {
      const found = seqs.get(subject) ?? [];
      expect(found, subject).toEqual(upTo(found.length));
      expect(found.length).toBeGreaterThanOrEqual(last);
    }
    for (const { subject, seq, text } of stored) expect(text).toBe(`${subject} ${seq}`);
  });

  it('goes on after what it knows stored when the subject was purged', async () => {
    const subject = 'bm.v1.evt.agent.purge.run.t.1';
    const outbox = await open('one');
    await append(outbox, subject);
    await append(outbox, subject);
    await outbox.flush();
    const manager = await jetstreamManager(connection.nats);
    await manager.streams.purge('BM_EVENTS', { filter: subject });
    await append(outbox, subject);
    expect(await outbox.flush()).toBe('stored');
    await outbox.close();
    expect(seqsBySubject(await storedIn(connection, 'BM_EVENTS', subject)).get(subject)).toEqual([
      3,
    ]);
  });

  it('is fenced by another instance on its subject, which goes on unharmed', async () => {
    const subject = 'bm.v1.evt.agent.twice.host';
    const first = await open('one');
    await append(first, subject);
    await first.flush();
    const other = await mkdtemp(join(dir, 'other-'));
    const second = await open('two', other);
    await append(second, subject);
    await until(() => fenced.length > 0, 'the fence');
    expect(fenced).toEqual([{ subject, instance: 'one' }]);
    expect(await second.flush()).toBe('fenced');
    expect(await append(first, subject)).toMatchObject({ kind: 'recorded', seq: 2 });
    expect(await first.flush()).toBe('stored');
    await Promise.all([first.close(), second.close()]);
  });

  it('says so when the disk is full, and loses nothing that was recorded', async ({ skip }) => {
    const disk = join(dir, 'disk');
    await mkdir(disk);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { stdio: 'ignore' });
    } catch {
      skip('needs root: a small tmpfs cannot be mounted here');
    }
    try {
      const subject = 'bm.v1.evt.agent.full.run.t.1';
      let outbox = await open('one', join(disk, 'journal'));
      const big = (): ReturnType<Outbox['append']> =>
        outbox.append(subject, (seq) => encoder.encode(`${seq}`.padEnd(5_000)));
      const filler = join(disk, 'filler');
      await writeFile(filler, new Uint8Array(60 * 1024));
      let recorded = 0;
      let outcome = await big();
      for (; outcome.kind === 'recorded'; outcome = await big()) recorded += 1;
      expect(outcome).toEqual({ kind: 'no_space', errno: 'ENOSPC' });
      expect(recorded).toBeGreaterThan(10);
      expect(await outbox.flush()).toBe('stored');
      // With room again it goes on where it was, and what it wrote can be read.
      await rm(filler);
      for (let more = 0; more < 3; more += 1) {
        expect(await big()).toMatchObject({ kind: 'recorded', seq: recorded + 1 });
        recorded += 1;
      }
      await outbox.close();
      outbox = await open('one', join(disk, 'journal'));
      expect(await outbox.append(subject, (seq) => encoder.encode(String(seq)))).toMatchObject({
        kind: 'recorded',
        seq: recorded + 1,
      });
      expect(await outbox.flush()).toBe('stored');
      await outbox.close();
      const stored = await storedIn(connection, 'BM_EVENTS', subject);
      expect(seqsBySubject(stored).get(subject)).toEqual(upTo(recorded + 1));
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});
