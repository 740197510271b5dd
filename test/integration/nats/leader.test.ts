import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { fencedPublisher } from '#protocol/nats/leader/fenced-publisher.ts';
import { SERVER_HEADERS } from '#protocol/nats/headers.ts';
import { claimEpoch } from '#protocol/nats/leader/leader-claim.ts';
import { contendForLease, leaseHolder, type LeaseContender } from '#protocol/nats/leader/lease.ts';
import { seqsBySubject, storedIn, upTo } from '#test/support/nats-messages.ts';
import { startChild, type TestChild } from '#test/support/nats-process.ts';
import { startTestServer, type TestServer } from '#test/support/nats-server.ts';
import { until } from '#test/support/until.ts';

const encoder = new TextEncoder();

describe('the leader', () => {
  let server: TestServer;
  let connection: MeshConnection;
  const children: TestChild[] = [];
  const contenders: LeaseContender[] = [];

  beforeAll(async () => {
    server = await startTestServer();
    connection = await server.connect('leader');
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.end()));
    await Promise.all(contenders.splice(0).map((contender) => contender.stop()));
  });
  afterAll(() => server.close());

  const contend = (holder: string, events: string[] = []): LeaseContender => {
    const contender = contendForLease(connection, {
      holder,
      description: holder,
      onAcquired: () => events.push('acquired'),
      onLost: () => events.push('lost'),
      onStandby: (other) => events.push(`standby ${other.holder}`),
    });
    contenders.push(contender);
    return contender;
  };
  const claim = (isLeading = () => true): ReturnType<typeof claimEpoch> =>
    claimEpoch(connection, { encode: (epoch) => encoder.encode(`claim ${epoch}`), isLeading });

  it('is one of many contenders, and another as soon as it gives the lease back', async () => {
    const all = upTo(10).map((n) => contend(`c${n}`));
    const leading = (): LeaseContender[] => all.filter((contender) => contender.isLeading());
    await until(() => leading().length > 0, 'a leader');
    expect(leading()).toHaveLength(1);
    const [first] = leading();
    await first?.stop();
    await until(() => leading().length > 0, 'the next leader');
    expect(leading()).toHaveLength(1);
    expect(await leaseHolder(connection)).not.toBeNull();
  });

  it('keeps leading when the server is killed and comes back at once', async () => {
    const events: string[] = [];
    const contender = contend('stays', events);
    await until(() => contender.isLeading(), 'the lease');
    await server.restart();
    await until(() => connection.isConnected(), 'the link');
    await until(() => contender.isLeading(), 'the lease again');
  });

  it('loses to nobody in between, but is refused on every subject after a newer claim', async () => {
    const deposed: string[] = [];
    const old = fencedPublisher({
      connection,
      claim: await claim(),
      onDeposed: (reason) => deposed.push(reason),
    });
    await old.publish('bm.v1.evt.run.r', encoder.encode('first'));
    await old.publish('bm.v1.cmd.a.start.r', encoder.encode('first'), { ttl: 60 });
    const next = await claim();
    const fresh = fencedPublisher({
      connection,
      claim: next,
      onDeposed: (reason) => deposed.push(reason),
    });
    await expect(
      old.publish('bm.v1.evt.run.never-written', encoder.encode('late')),
    ).rejects.toMatchObject({ code: 'deposed' });
    await expect(old.publish('bm.v1.cmd.a.start.r', encoder.encode('late'))).rejects.toMatchObject({
      code: 'deposed',
    });
    expect(deposed).toHaveLength(1);
    await fresh.publish('bm.v1.evt.run.r', encoder.encode('second'));
    const stored = await storedIn(connection, 'BM_EVENTS', 'bm.v1.evt.run.*');
    expect(stored.map(({ text }) => text)).toEqual(['first', 'second']);
    expect(
      (await storedIn(connection, 'BM_COMMANDS', 'bm.v1.cmd.a.>')).map(({ text }) => text),
    ).toEqual(['first']);
  });

  it('the commands stream alone refuses the deposed one too', async () => {
    const old = await claim();
    await claim();
    const half = fencedPublisher({ connection, claim: old, onDeposed: () => undefined });
    await expect(half.publish('bm.v1.cmd.b.start.r', encoder.encode('late'))).rejects.toMatchObject(
      { code: 'deposed' },
    );
    expect(await storedIn(connection, 'BM_COMMANDS', 'bm.v1.cmd.b.>')).toEqual([]);
  });

  it('gives up a claim when it does not lead any more', async () => {
    await expect(claim(() => false)).rejects.toMatchObject({ code: 'deposed' });
  });

  it('stores each write once and in order while the server is killed three times', async () => {
    const publisher = fencedPublisher({
      connection,
      claim: await claim(),
      onDeposed: () => undefined,
    });
    const total = 3_000;
    let settled = 0;
    const writes: Promise<number>[] = [];
    for (let count = 0; count < total; count += 1) {
      const subject = `bm.v1.evt.task.kill.t${count % 30}`;
      const write = publisher.publish(subject, encoder.encode(String(count)));
      void write.then(() => (settled += 1));
      writes.push(write);
    }
    for (const at of [100, 800, 1_800]) {
      await until(() => settled >= at || null, `${at} stored`);
      await server.restart();
    }
    await Promise.all(writes);
    const seqs = seqsBySubject(await storedIn(connection, 'BM_EVENTS', 'bm.v1.evt.task.kill.*'));
    expect(seqs.size).toBe(30);
    const numbers = [...seqs.values()];
    for (const list of numbers) expect(list).toEqual([...list].sort((a, b) => a - b));
    expect(numbers.flat().sort((a, b) => a - b)).toEqual(upTo(total));
  });

  it.each([
    ['in', true],
    ['out of', false],
  ])(
    'stores each write once when acks are lost, %s the window of the server',
    async (_, inWindow) => {
      let sent = 0;
      const lossy: MeshConnection = {
        nats: connection.nats,
        url: connection.url,
        serverVersion: connection.serverVersion,
        log: connection.log,
        isConnected: () => connection.isConnected(),
        isClosed: () => connection.isClosed(),
        whenConnected: () => connection.whenConnected(),
        onStatus: (listener) => connection.onStatus(listener),
        close: () => connection.close(),
        request: async (subject, data, options) => {
          const { [SERVER_HEADERS.messageId]: id, ...others } = options.headers ?? {};
          const headers =
            id !== undefined && inWindow ? { ...others, [SERVER_HEADERS.messageId]: id } : others;
          const outcome = await connection.request(subject, data, { ...options, headers });
          if (!subject.includes('.lossy')) return outcome;
          sent += 1;
          return sent % 3 === 0 ? { kind: 'timeout' } : outcome;
        },
      };
      const name = inWindow ? 'lossy-in' : 'lossy-out';
      const publisher = fencedPublisher({
        connection: lossy,
        claim: await claim(),
        onDeposed: () => undefined,
      });
      const texts = upTo(30).map(String);
      const writes = texts.map((text) =>
        publisher.publish(`bm.v1.evt.run.${name}`, encoder.encode(text)),
      );
      const sequences = await Promise.all(writes);
      const stored = await storedIn(connection, 'BM_EVENTS', `bm.v1.evt.run.${name}`);
      expect(stored.map(({ text }) => text)).toEqual(texts);
      expect(stored.map(({ sequence }) => sequence)).toEqual(sequences);
      expect(sent).toBeGreaterThan(30);
    },
  );

  it('stopped past its lease and continued, is refused; the standby leads', async () => {
    const first = startChild(server, 'leader', 'first');
    children.push(first);
    await until(() => first.lines.some((line) => line.startsWith('wrote')), 'the first to write');
    const second = startChild(server, 'leader', 'second');
    children.push(second);
    await until(() => second.lines.includes('standby first'), 'the second to stand by');
    first.signal('SIGSTOP');
    await until(() => second.lines.some((line) => line.startsWith('wrote')), 'the second to write');
    const before = await storedIn(
      connection,
      'BM_EVENTS',
      'bm.v1.evt.task.run.*',
      'bm.v1.evt.leader',
    );
    first.signal('SIGCONT');
    await until(
      () => first.lines.some((line) => line.startsWith('refused')),
      'the first to be refused',
    );
    expect(first.lines.filter((line) => line === 'deposed')).toHaveLength(1);
    const stored = await storedIn(
      connection,
      'BM_EVENTS',
      'bm.v1.evt.task.run.*',
      'bm.v1.evt.leader',
    );
    // After the second claim there is no message of the first, on any subject.
    const claims = before.filter(({ subject }) => subject === 'bm.v1.evt.leader');
    const lastClaim = claims.at(-1)?.sequence ?? Number.POSITIVE_INFINITY;
    const late = stored.filter(
      ({ text, sequence }) => text.startsWith('first') && sequence > lastClaim,
    );
    expect(late).toEqual([]);
    const commands = await storedIn(
      connection,
      'BM_COMMANDS',
      'bm.v1.cmd.agent.>',
      'bm.v1.cmd.epoch',
    );
    const commandClaim =
      commands.findLast(({ subject }) => subject === 'bm.v1.cmd.epoch')?.sequence ?? 0;
    expect(
      commands.filter(({ text, sequence }) => text.startsWith('first') && sequence > commandClaim),
    ).toEqual([]);
  });
});
