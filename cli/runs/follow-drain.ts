/** What an agent says of its drain, and when nothing runs there any more. */
import { Heartbeat } from '#protocol/messages/agent/host.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { subscribeHeartbeats } from '#protocol/nats/agents/heartbeat.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { tail } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { recordOf } from './record.ts';

export interface DrainWatch {
  /** False when it has not said so by then. */
  saidWithin(ms: number): Promise<boolean>;
  /** Resolves with a heartbeat that tells of nothing running and nothing waiting. */
  readonly idle: Promise<void>;
  close(): Promise<void>;
}

export interface DrainWatchOptions {
  readonly agent: string;
  readonly undo: boolean;
  readonly fromSequence: number;
}

export function followDrain(connection: MeshConnection, options: DrainWatchOptions): DrainWatch {
  const { agent, undo, fromSequence } = options;
  const wanted = undo ? 'agent.undrained' : 'agent.draining';
  let onSaid: () => void = () => undefined;
  const said = new Promise<true>((resolve) => {
    onSaid = () => {
      resolve(true);
    };
  });
  const events = tail(connection, {
    stream: STREAMS.events,
    filters: [subjects.hostEvents(agent)],
    fromSequence,
    onMessage: (message) => {
      if (recordOf(message)?.message.name === wanted) onSaid();
    },
  });
  let onIdle: () => void = () => undefined;
  const idle = new Promise<void>((resolve) => {
    onIdle = resolve;
  });
  const beats = subscribeHeartbeats(connection, (id, body) => {
    if (id === agent && isIdle(body)) onIdle();
  });
  return {
    saidWithin: async (ms) => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<false>((resolve) => {
        timer = setTimeout(resolve, ms, false);
      });
      const outcome = await Promise.race([said, late]);
      clearTimeout(timer);
      return outcome;
    },
    idle,
    close: async () => {
      beats.stop();
      await events.close();
    },
  };
}

function isIdle(body: Uint8Array): boolean {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return false;
  }
  const beat = Heartbeat.safeParse(json);
  return beat.success && beat.data.running === 0 && beat.data.queued === 0;
}
