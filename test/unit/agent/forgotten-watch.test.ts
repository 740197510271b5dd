/** What an agent does about who holds its id, whenever it has cause to look. */
import { expect, it, vi } from 'vitest';
import type { ConnectionStatus, MeshConnection } from '#protocol/nats/connection.ts';
import * as registry from '#protocol/nats/agents/registry.ts';
import { ForgottenWatch } from '../../../agent/host/forgotten-watch.ts';
import { silentLog } from '#protocol/runtime/log.ts';

vi.mock('#protocol/nats/agents/registry.ts');

function watched(isDraining: boolean) {
  const told: string[] = [];
  let link: (status: ConnectionStatus) => void = () => undefined;
  const connection = {
    log: silentLog,
    onStatus: (listener: typeof link) => {
      link = listener;
      return () => told.push('ignores the link');
    },
  } as unknown as MeshConnection;
  const watch = new ForgottenWatch({
    connection,
    registration: { agent: 'a', instance: 'mine' },
    host: {
      counts: () => ({ running: 2, queued: 1 }),
      isDraining: () => isDraining,
      sayDraining: (reason) => told.push(reason),
    },
    changes: { enrolAnew: (adopted) => told.push(`anew with ${String(adopted)}`) },
    onFatal: ({ code }) => told.push(code),
  });
  return {
    watch,
    told,
    link: (status: ConnectionStatus) => {
      link(status);
    },
  };
}

const holder = vi.mocked(registry.holderOf);

it.each([
  [{ kind: 'free' } as const, ['anew with 2']],
  [{ kind: 'held', instance: 'mine' } as const, []],
  [{ kind: 'held', instance: 'another' } as const, ['agent_id_taken']],
  [{ kind: 'unknown' } as const, []],
])('%o', async (found, expected) => {
  holder.mockResolvedValue(found);
  const { watch, told } = watched(false);
  await watch.look();
  expect(told).toEqual(expected);
});

it('one that drains says so again', async () => {
  holder.mockResolvedValue({ kind: 'free' });
  const { watch, told } = watched(true);
  await watch.look();
  expect(told).toEqual(['anew with 2', 'drained before it enrolled anew']);
});

it('looks when the link is back, one look at a time, and never once closed', async () => {
  let answer: (found: registry.IdHolder) => void = () => undefined;
  holder.mockClear().mockReturnValue(
    new Promise((resolve) => {
      answer = resolve;
    }),
  );
  const { watch, told, link } = watched(false);
  link('disconnected');
  expect(holder).not.toHaveBeenCalled();
  link('reconnected');
  await watch.look();
  expect(holder).toHaveBeenCalledTimes(1);
  watch.close();
  answer({ kind: 'free' });
  await watch.look();
  expect(holder).toHaveBeenCalledTimes(1);
  expect(told).toEqual(['ignores the link']);
});
