/** Bugs in what all of it stands on: attempts, stops, journals, terms. */
import { Attempt } from '#agent/attempt/attempt.ts';
import { LedgerFold } from '#agent/state/ledger-entries.ts';
import { Ledger } from '#agent/state/ledger.ts';
import { Lanes } from '#protocol/nats/outbox/outbox-lanes.ts';
import {
  PRETENDED,
  changed,
  events,
  isOf,
  mails,
  mutation,
  ownHeaders,
  patch,
  type Mutation,
  unexpected,
} from './planting.ts';

export const OF_THE_GROUND: readonly Mutation[] = [
  mutation('drop-ack', 'the agent never says that a stop is done', () =>
    events((event) => (event.name === 'command.stop_done' ? null : event)),
  ),
  mutation('skip-fence', 'a deposed leader may write', (mesh) => {
    mesh.taps.onRequest = (request) =>
      isOf(request, 'leader.elected') || !request.by.startsWith('c')
        ? request
        : unexpected(request);
  }),
  mutation(
    'no-expectation',
    'an agent publishes without the last sequence of its subject',
    (mesh) => {
      mesh.taps.onRequest = (request) =>
        request.by.startsWith('a') ? unexpected(request) : request;
    },
  ),
  mutation('assign-twice', 'a start goes to two agents', (mesh) => {
    mesh.taps.onRequest = (request) => {
      const start = /^bm\.v1\.cmd\.(\w+)\.start\.(.+)$/.exec(request.subject);
      const other = [...mesh.server.registry.keys()].find((agent) => agent !== start?.[1]);
      if (start !== null && other !== undefined && mesh.world.chance(0.2))
        mesh.server.answer(request.by, `bm.v1.cmd.${other}.start.${start[2] ?? ''}`, request.data, {
          timeoutMs: 0,
          headers: ownHeaders(request),
        });
      return request;
    };
  }),
  mutation('drop-open-starts', 'starts go while their attempts live', (mesh) => {
    mesh.taps.onRequest = (request) => {
      if (request.subject !== '$JS.API.STREAM.PURGE.BM_COMMANDS') return request;
      const { filter } = JSON.parse(Buffer.from(request.data).toString()) as { filter: string };
      return { ...request, data: Buffer.from(JSON.stringify({ filter })) };
    };
  }),
  mutation('forget-lock', 'an agent forgets that an attempt wants its host alone', () =>
    mails((text) => text.replaceAll('"exclusive":true', '"exclusive":false')),
  ),
  mutation('forget-slots', 'an agent takes every attempt for one of one slot', () =>
    mails((text) => text.replace(/"slots":\d+/g, '"slots":1')),
  ),
  mutation('stop-is-failure', 'what a stop ended is told as a failure', () =>
    events((event) => {
      if (event.name !== 'attempt.exited') return event;
      const data = event.data as { outcome: string; class: string | null };
      if (data.outcome !== 'stopped' || data.class !== null) return event;
      return changed(event, { outcome: 'failed', class: 'exit', stage: 'run' });
    }),
  ),
  mutation('lose-requeue', 'the word that a task is tried again is lost', (mesh) => {
    mesh.taps.onRequest = (request) => (isOf(request, 'task.retrying') ? PRETENDED : request);
  }),
  mutation('forget-event', 'the leader misses an end now and then', (mesh) => {
    mesh.taps.onTail = (message) =>
      isOf(message, 'attempt.exited') && mesh.world.chance(0.1) ? null : message;
  }),
  mutation('free-twice', 'the leader gives up what an attempt held twice', (mesh) => {
    mesh.taps.onTail = (message) => {
      const agent = /^bm\.v1\.evt\.agent\.(\w+)\./.exec(message.subject)?.[1] ?? '';
      const usage = mesh.api?.state().scheduler.usage.get(agent);
      if (isOf(message, 'attempt.exited') && usage !== undefined && usage.slots > 1)
        usage.slots -= 1;
      return message;
    };
  }),
  mutation('no-dedupe', 'an agent obeys a command each time that it comes', () =>
    patch(LedgerFold.prototype, 'isRepeat', function isRepeat(this: LedgerFold) {
      this.known.clear();
      return false;
    }),
  ),
  mutation('command-not-journalled', 'a command is acknowledged before it is on the disk', () =>
    patch(Ledger.prototype, 'writeCommand', function writeCommand(this: Ledger, entry: never) {
      this.fold.apply(entry);
      return true;
    }),
  ),
  mutation('outbox-forgets', 'a restarted agent has forgotten what waited to be published', () =>
    patch(Lanes.prototype, 'recover', () => undefined),
  ),
  mutation('no-flush', 'a step may begin before the ledger knows of it', () =>
    patch(Ledger.prototype, 'flush', () => undefined),
  ),
  mutation('resume-nothing', 'a returning agent does not take up what it had', () =>
    patch(Attempt.prototype, 'resume', () => undefined),
  ),
  mutation('stale-view', 'the leader misses now and then that a step has begun', (mesh) => {
    mesh.taps.onTail = (message) =>
      isOf(message, 'attempt.step_started') && mesh.world.chance(0.1) ? null : message;
  }),
  mutation('adopt-nothing', 'a returning agent takes what runs for never begun', (mesh) => {
    mesh.taps.onAdopt = () => ({ kind: 'not_started' });
  }),
  mutation('overtaken-start-runs', 'a start runs though a stop has overtaken it', () =>
    mails((text, sequence) => text.replace(/"afterStop":\d+/g, `"afterStop":${sequence - 1}`)),
  ),
  mutation('survivors-hidden', 'survivors are not told', () =>
    events((event) =>
      event.name === 'attempt.exited' ? changed(event, { survivors: [], proven: true }) : event,
    ),
  ),
  mutation('rash-leader', 'a leader acts before it has read the streams', (mesh) => {
    mesh.taps.isRash = true;
  }),
  mutation('uncounted-retries', 'the leader forgets how often a task was tried', (mesh) => {
    mesh.taps.onTail = (message) => {
      for (const run of mesh.api?.state().runs.values() ?? [])
        for (const task of run.listed) task.used = null;
      return message;
    };
  }),
];
