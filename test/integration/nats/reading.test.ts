import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { publishHeartbeat, subscribeHeartbeats } from '#protocol/nats/agents/heartbeat.ts';
import { ensureMailbox, openMailbox, type MailMessage } from '#protocol/nats/agents/mailbox.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import {
  forgetAgent,
  listAgents,
  registerAgent,
  watchAgents,
} from '#protocol/nats/agents/registry.ts';
import { call, serve } from '#protocol/nats/rpc.ts';
import { lastMessage, messageAt, streamState } from '#protocol/nats/streams/stream-read.ts';
import { readAll, tail, type CaughtUp } from '#protocol/nats/streams/tail.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { storedIn, upTo } from '#test/support/nats-messages.ts';
import { startTestServer, type TestServer } from '#test/support/nats-server.ts';
import { until } from '#test/support/until.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

describe('reading and asking', () => {
  let server: TestServer;
  let connection: MeshConnection;

  beforeAll(async () => {
    server = await startTestServer();
    connection = await server.connect('reading');
  });
  afterAll(() => server.close());

  const put = async (subject: string, text: string): Promise<number> => {
    for (;;) {
      await connection.whenConnected();
      const outcome = await publishEvent(connection, subject, encoder.encode(text), {
        messageId: `${subject}:${text}`,
      });
      if (outcome.kind === 'stored') return outcome.sequence;
    }
  };

  describe('tail', () => {
    it('hands over each message once, in order, while the server is killed', async () => {
      for (let n = 1; n <= 200; n += 1) await put('bm.v1.evt.run.tail', String(n));
      const seen: number[] = [];
      const caughtUp: CaughtUp[] = [];
      const reader = tail(connection, {
        stream: 'BM_EVENTS',
        filters: ['bm.v1.evt.run.tail'],
        onMessage: ({ data }) => {
          seen.push(Number(decoder.decode(data)));
        },
        onCaughtUp: (position) => {
          caughtUp.push(position);
        },
      });
      await until(() => caughtUp.length > 0, 'the tail to catch up');
      expect(seen).toEqual(upTo(200));
      for (let n = 201; n <= 300; n += 1) {
        if (n % 40 === 0) await server.restart();
        await put('bm.v1.evt.run.tail', String(n));
      }
      await until(() => seen.length >= 300, 'all messages');
      await reader.close();
      expect(seen).toEqual(upTo(300));
      expect(caughtUp).toHaveLength(1);
    });

    it('catches up where its filters match nothing, at the end of the stream', async () => {
      const { lastSequence } = await streamState(connection, 'BM_EVENTS');
      const position = await readAll(
        connection,
        { stream: 'BM_EVENTS', filters: ['bm.v1.evt.run.none', 'bm.v1.evt.task.none.*'] },
        () => {
          throw new Error('nothing was expected');
        },
      );
      expect(position.sequence).toBe(lastSequence);
    });

    it('reads the whole stream where it has no filter, and asks the server for none', async () => {
      const first = await put('bm.v1.evt.run.whole', 'one');
      await put('bm.v1.evt.task.whole.t1', 'two');
      const seen: string[] = [];
      const reader = tail(connection, {
        stream: 'BM_EVENTS',
        filters: [],
        fromSequence: first,
        onMessage: ({ data }) => {
          seen.push(decoder.decode(data));
        },
      });
      await until(() => seen.length >= 2, 'both messages');
      const manager = await jetstreamManager(connection.nats);
      const readers = await manager.consumers.list('BM_EVENTS').next();
      await reader.close();
      expect(seen).toEqual(['one', 'two']);
      expect(readers.map(({ config }) => [config.filter_subject, config.filter_subjects])).toEqual([
        [undefined, undefined],
      ]);
    });

    it('reads several filters in stream order, from a sequence up to a sequence', async () => {
      const sequences: number[] = [];
      for (let n = 0; n < 30; n += 1)
        sequences.push(
          await put(`bm.v1.evt.${n % 2 === 0 ? 'run.many' : 'task.many.t'}`, `many ${n}`),
        );
      const seen: number[] = [];
      const position = await readAll(
        connection,
        {
          stream: 'BM_EVENTS',
          filters: ['bm.v1.evt.run.many', 'bm.v1.evt.task.many.>'],
          fromSequence: sequences[5] ?? 0,
          upToSequence: sequences[20] ?? 0,
        },
        ({ sequence }) => seen.push(sequence),
      );
      expect(seen).toEqual(sequences.slice(5, 21));
      expect(position.sequence).toBe(sequences[20]);
    });

    it('gives every reader the same time, by consumer and by direct get', async () => {
      await put('bm.v1.evt.run.time', 'x');
      const times: number[] = [];
      await readAll(
        connection,
        { stream: 'BM_EVENTS', filters: ['bm.v1.evt.run.time'] },
        ({ timeMs }) => times.push(timeMs),
      );
      const last = await lastMessage(connection, 'BM_EVENTS', 'bm.v1.evt.run.time');
      expect(last.kind === 'found' ? last.message.timeMs : null).toBe(times[0]);
      const same =
        last.kind === 'found'
          ? await messageAt(connection, 'BM_EVENTS', last.message.sequence)
          : null;
      expect(same?.kind).toBe('found');
      expect(await lastMessage(connection, 'BM_EVENTS', 'bm.v1.evt.run.nobody')).toEqual({
        kind: 'none',
      });
    });

    it('catches up when what it was to read is purged meanwhile', async () => {
      for (let n = 0; n < 5; n += 1) await put('bm.v1.evt.run.purged', String(n));
      let goOn = (): void => undefined;
      const mayGoOn = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      let seen = 0;
      let caughtUp = false;
      const reader = tail(connection, {
        stream: 'BM_EVENTS',
        filters: ['bm.v1.evt.run.purged'],
        onMessage: async () => {
          seen += 1;
          if (seen === 1) await mayGoOn;
        },
        onCaughtUp: () => {
          caughtUp = true;
        },
      });
      await until(() => seen === 1, 'the first message');
      const manager = await jetstreamManager(connection.nats);
      await manager.streams.purge('BM_EVENTS', { filter: 'bm.v1.evt.run.purged' });
      goOn();
      await until(() => caughtUp, 'the end');
      await reader.close();
    });

    it('ends with the error of a handler that throws', async () => {
      await put('bm.v1.evt.run.throw', 'x');
      const reading = readAll(
        connection,
        { stream: 'BM_EVENTS', filters: ['bm.v1.evt.run.throw'] },
        () => {
          throw new Error('bug of the handler');
        },
      );
      await expect(reading).rejects.toThrow('bug of the handler');
    });

    it('times out when told to', async () => {
      const other = await startTestServer({ streams: false });
      const lonely = await other.connect('lonely');
      const reading = readAll(
        lonely,
        { stream: 'BM_EVENTS', filters: ['bm.v1.evt.run.x'], timeoutMs: 300 },
        () => undefined,
      );
      await expect(reading).rejects.toMatchObject({ code: 'timed_out' });
      await other.close();
    });
  });

  describe('mailbox', () => {
    it('delivers commands in order, once, through restarts, and stops for all', async () => {
      const mails: string[] = [];
      const box = openMailbox(connection, 'm1', async ({ data }) => {
        await Promise.resolve();
        mails.push(decoder.decode(data));
        return 'ack';
      });
      await ensureMailbox(connection, 'm1');
      await ensureMailbox(connection, 'm1');
      await box.opened;
      const words: string[] = [];
      for (let n = 0; n < 60; n += 1) {
        const subject = n % 10 === 0 ? 'bm.v1.cmd.all.stop' : 'bm.v1.cmd.m1.start.r';
        words.push(`m1 ${n}`);
        await put(subject, `m1 ${n}`);
        await put('bm.v1.cmd.other.start.r', `other ${n}`);
        if (n % 25 === 24) await server.restart();
      }
      await until(() => mails.length >= 60, 'all commands');
      await box.close();
      expect(mails).toEqual(words);
    });

    it('delivers again what a dead process had not acknowledged, to the next', async () => {
      await ensureMailbox(connection, 'm2');
      const first = await server.connect('m2 first');
      const seen: MailMessage[] = [];
      let answer = (_: 'ack'): void => undefined;
      const late = new Promise<'ack'>((resolve) => {
        answer = resolve;
      });
      const dead = openMailbox(first, 'm2', (mail) => {
        if (!mail.subject.includes('.m2.')) return Promise.resolve('ack');
        seen.push(mail);
        return late;
      });
      await put('bm.v1.cmd.m2.start.r', 'm2 a');
      await put('bm.v1.cmd.m2.start.r', 'm2 b');
      await until(() => seen.length === 1, 'the first delivery');
      await first.nats.close(); // as a killed process: no ack, no goodbye
      answer('ack');
      await dead.close();
      const again: MailMessage[] = [];
      const box = openMailbox(connection, 'm2', (mail) => {
        again.push(mail);
        return Promise.resolve('ack');
      });
      await until(
        () => again.filter(({ subject }) => subject.includes('.m2.')).length === 2,
        'both',
      );
      await box.close();
      const mine = again.filter(({ subject }) => subject.includes('.m2.'));
      expect(mine.map(({ data }) => decoder.decode(data))).toEqual(['m2 a', 'm2 b']);
      expect(mine[0]?.redelivered).toBe(true);
      expect(mine[0]?.sequence).toBe(seen[0]?.sequence);
    });

    it('gives a message whose handler failed again, and one terminated never', async () => {
      await ensureMailbox(connection, 'm3');
      const seen: string[] = [];
      const box = openMailbox(connection, 'm3', async ({ data, subject }) => {
        await Promise.resolve();
        if (!subject.includes('.m3.')) return 'ack';
        const word = decoder.decode(data);
        seen.push(word);
        if (seen.length === 1) throw new Error('a bug, once');
        return word === 'm3 bad' ? 'term' : 'ack';
      });
      await put('bm.v1.cmd.m3.start.r', 'm3 x');
      await put('bm.v1.cmd.m3.start.r', 'm3 bad');
      await put('bm.v1.cmd.m3.start.r', 'm3 y');
      await until(() => seen.length === 4, 'all');
      await box.close();
      expect(seen).toEqual(['m3 x', 'm3 x', 'm3 bad', 'm3 y']);
    });
  });

  describe('registry', () => {
    it('gives an id to one state folder, until it is forgotten', async () => {
      const data = encoder.encode('{}');
      const told: string[] = [];
      const watch = watchAgents(connection, {
        onAgent: ({ agent, instance }) => told.push(`${agent} ${instance}`),
        onForgotten: (agent) => told.push(`${agent} forgotten`),
      });
      await registerAgent(connection, { agent: 'host', instance: 'i1', data });
      await registerAgent(connection, { agent: 'host', instance: 'i1', data });
      const refused = registerAgent(connection, { agent: 'host', instance: 'i2', data });
      await expect(refused).rejects.toMatchObject({ code: 'agent_id_taken' });
      await expect(refused).rejects.toThrow(/instance i1.*shows who holds this one/);
      expect(
        (await listAgents(connection)).map(({ agent, instance }) => [agent, instance]),
      ).toEqual([['host', 'i1']]);
      expect((await forgetAgent(connection, 'host'))?.instance).toBe('i1');
      expect(await forgetAgent(connection, 'host')).toBeNull();
      expect(await listAgents(connection)).toEqual([]);
      await registerAgent(connection, { agent: 'host', instance: 'i2', data });
      await until(() => told.at(-1) === 'host i2', 'the watch');
      await watch.close();
      expect(told.at(-2)).toBe('host forgotten');
    });
  });

  describe('requests', () => {
    it('reach the one who serves, with errors by code', async () => {
      const serving = serve(connection, 'echo', async (body) => {
        await Promise.resolve();
        if (body === 'busy') throw new MeshError('busy', 'run x holds the hosts');
        if (body === 'bug') throw new TypeError('a bug');
        return { body };
      });
      expect(await call(connection, 'echo', { a: 1 })).toEqual({ body: { a: 1 } });
      await expect(call(connection, 'echo', 'busy')).rejects.toMatchObject({
        code: 'busy',
        message: 'run x holds the hosts',
      });
      await expect(call(connection, 'echo', 'bug')).rejects.toMatchObject({ code: 'internal' });
      serving.stop();
      await expect(call(connection, 'echo', {})).rejects.toMatchObject({ code: 'no_coordinator' });
    });

    it('time out, and settle at once when the link breaks', async () => {
      const serving = serve(connection, 'silent', () => new Promise(() => undefined));
      await expect(call(connection, 'silent', {}, 100)).rejects.toMatchObject({
        code: 'timed_out',
      });
      const hanging = call(connection, 'silent', {}, 600_000);
      const settled = expect(hanging).rejects.toMatchObject({ code: 'mesh_unreachable' });
      await server.restart();
      await settled;
      serving.stop();
      await connection.whenConnected();
    });

    it('heartbeats arrive with their agent', async () => {
      const beats: string[] = [];
      const listening = subscribeHeartbeats(connection, (agent, body) =>
        beats.push(`${agent} ${decoder.decode(body)}`),
      );
      await until(() => {
        publishHeartbeat(connection, 'host', encoder.encode('up'));
        return beats.length > 0;
      }, 'a heartbeat');
      listening.stop();
      expect(beats[0]).toBe('host up');
    });

    it('a start expires, a stop never does', async () => {
      const expiring = { ttl: 1 } as const;
      await publishEvent(connection, 'bm.v1.cmd.ttl.start.r', encoder.encode('start'), expiring);
      await publishEvent(connection, 'bm.v1.cmd.ttl.stop.r', encoder.encode('stop'), {
        ttl: 'never',
      });
      const left = async (): Promise<string[]> =>
        (await storedIn(connection, 'BM_COMMANDS', 'bm.v1.cmd.ttl.>')).map(({ text }) => text);
      await until(async () => (await left()).length === 1, 'the start to expire');
      expect(await left()).toEqual(['stop']);
    });
  });
});
