/**
 * The claim of a new leader (I1): one message on each stream's epoch subject. From then on every
 * write of the leader expects its own claim to stand last there, so a write of the leader before
 * is refused, on whatever subject.
 *
 * Both are claimed before anything is replayed. Each is a compare-and-set that never goes back to
 * a lower epoch: a claimant overtaken between the two finds the higher epoch and gives up.
 */
import { MeshError } from '../../messages/errors.ts';
import { newId } from '../../messages/ids.ts';
import { subjects } from '../../messages/subjects.ts';
import { pause, type MeshConnection } from '../connection.ts';
import type { Claim } from './fenced-publisher.ts';
import { HEADERS } from '../headers.ts';
import { publishEvent, type Fence } from '../publisher.ts';
import { STREAMS } from '../streams/stream-configs.ts';
import { lastMessage } from '../streams/stream-read.ts';

export interface ClaimOptions {
  /** The message stored as the claim, for the epoch it gets. */
  readonly encode: (epoch: number, instance: string) => Uint8Array;
  /** False as soon as the caller does not hold the lease any more: then it gives up. */
  readonly isLeading: () => boolean;
}

const RETRY_MS = 100;

/**
 * Claims both streams. Resolves with the claim for `fencedPublisher`. Retries doubts while
 * `isLeading`; rejects with MeshError `deposed` when overtaken or no longer leading.
 */
export async function claimEpoch(
  connection: MeshConnection,
  options: ClaimOptions,
): Promise<Claim> {
  const instance = newId();
  const events = { stream: STREAMS.events, subject: subjects.eventEpoch() };
  const commands = { stream: STREAMS.commands, subject: subjects.commandEpoch() };
  const first = await claim(connection, options, { ...events, instance, epoch: null });
  const second = await claim(connection, options, { ...commands, instance, epoch: first.epoch });
  return { epoch: first.epoch, instance, events: first.fence, commands: second.fence };
}

interface Target {
  readonly stream: string;
  readonly subject: string;
  readonly instance: string;
  /** Null: the next one after the last. */
  readonly epoch: number | null;
}

async function claim(
  connection: MeshConnection,
  options: ClaimOptions,
  target: Target,
): Promise<{ readonly epoch: number; readonly fence: Fence }> {
  const { stream, subject, instance } = target;
  while (options.isLeading() && !connection.isClosed()) {
    const last = await lastMessage(connection, stream, subject);
    if (last.kind === 'unknown') {
      await pause(RETRY_MS);
      continue;
    }
    const found = last.kind === 'found' ? last.message : null;
    const lastEpoch = Number(found?.header(HEADERS.epoch) ?? 0);
    const sequence = found?.sequence ?? 0;
    if (found?.header(HEADERS.instance) === instance) {
      return { epoch: lastEpoch, fence: { subject, sequence } };
    }
    const epoch = target.epoch ?? lastEpoch + 1;
    if (lastEpoch >= epoch) {
      throw new MeshError('deposed', `epoch ${lastEpoch} was claimed by another coordinator`);
    }
    const outcome = await publishEvent(connection, subject, options.encode(epoch, instance), {
      expectedLastSubjectSequence: sequence,
      headers: { [HEADERS.epoch]: String(epoch), [HEADERS.instance]: instance },
      ...(stream === STREAMS.commands ? { ttl: 'never' as const } : {}),
    });
    if (outcome.kind === 'stored') {
      return { epoch, fence: { subject, sequence: outcome.sequence } };
    }
    if (outcome.kind !== 'conflict') await pause(RETRY_MS);
  }
  throw new MeshError('deposed', 'the lease was lost before the epoch was claimed');
}
