/**
 * Bugs planted at the seams of the simulation: simulation must find each within the seeds that CI runs.
 * Each changes what goes in or out of the real code, or a method of it; what `plant` answers takes a
 * change of a method back.
 */
import { Attempt } from '#agent/attempt/attempt.ts';
import { CommandIntake } from '#agent/host/command-intake.ts';
import { EventSink } from '#agent/state/event-sink.ts';
import { LedgerFold, type NumberedEvent } from '#agent/state/ledger-entries.ts';
import { Ledger } from '#agent/state/ledger.ts';
import { markDirty } from '#coordinator/core/core-state.ts';
import type { AgentEntry } from '#coordinator/fleet/fleet-reducer.ts';
import { enqueue, giveLocksBack } from '#coordinator/scheduler/scheduler-reducer.ts';
import { typeOf, type MessageName } from '#protocol/messages/catalog.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { Lanes } from '#protocol/nats/outbox/outbox-lanes.ts';
import { SERVER_HEADERS } from '#protocol/nats/headers.ts';
import type { RequestOutcome } from '#protocol/nats/connection.ts';
import type { Request } from './link.ts';
import type { Mesh } from './mesh.ts';
import type { Stored } from './server.ts';

export interface Mutation {
  readonly name: string;
  readonly what: string;
  readonly plant: (mesh: Mesh) => (() => void) | undefined;
}

type Plant = Mutation['plant'];

export const MUTATIONS: readonly Mutation[] = [
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
    mails((text) => text.replace('"exclusive":true', '"exclusive":false')),
  ),
  mutation('forget-slots', 'an agent takes every attempt for one of one slot', () =>
    mails((text) => text.replace(/"slots":\d+/, '"slots":1')),
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
    mails((text, sequence) => text.replace(/"afterStop":\d+/, `"afterStop":${sequence - 1}`)),
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
  mutation('early-go', 'the leader takes every rank for ready when one is', (mesh) => {
    mesh.taps.onTail = (message) => {
      const isReady = isOf(message, 'attempt.ready');
      for (const run of isReady ? (mesh.api?.state().runs.values() ?? []) : [])
        for (const { ranks } of run.gangs.values())
          for (const { ready } of ranks) for (const id of ['setup', 'run']) ready.add(id);
      return message;
    };
  }),
  mutation('early-stage', 'the leader takes a stage for measured as soon as it is open', (mesh) => {
    mesh.taps.onTail = (message) => {
      const folds = isOf(message, 'attempt.ready') ? (mesh.api?.state().runs.values() ?? []) : [];
      const told = { elapsedMs: 0, isWhole: true, metrics: [], requests: null };
      for (const { fold } of folds)
        for (const { attempts } of fold.tasks.values())
          for (const rank of attempts.at(-1)?.gang?.ranks ?? [])
            if (rank !== undefined) rank.stages = [1, 2].map((stage) => ({ ...told, stage }));
      return message;
    };
  }),
  mutation('ramp-unended', 'the word that a ramp is over is lost', (mesh) => {
    mesh.taps.onRequest = (request) => (isOf(request, 'task.ramp_ended') ? PRETENDED : request);
  }),
  mutation('ranks-left', 'a rank that has failed leaves the others running', (mesh) => {
    mesh.taps.onRequest = (request) => (isOf(request, 'command.revoke') ? PRETENDED : request);
  }),
  mutation('half-gang', 'a gang is over with the first of its ranks', (mesh) => {
    mesh.taps.onTail = (message) => {
      const isEnd = isOf(message, 'attempt.exited');
      for (const run of isEnd ? (mesh.api?.state().runs.values() ?? []) : [])
        for (const gang of run.gangs.values())
          Object.assign(gang, { ranks: gang.ranks.slice(0, 1) });
      return message;
    };
  }),
  mutation('preempt-anyone', 'the leader ends what cannot go on for a higher priority', (mesh) => {
    mesh.taps.onTail = (message) => {
      for (const run of mesh.api?.state().scheduler.runs.values() ?? [])
        Object.assign(run, { isPreemptible: true });
      return message;
    };
  }),
  mutation('preempt-counts', 'what was pre-empted counts as a failure', (mesh) => {
    mesh.taps.onRequest = (request) =>
      isOf(request, 'task.retrying')
        ? { ...request, data: replaced(request.data, '"class":"paused"', '"class":"exit"') }
        : request;
  }),
  mutation('take-back-blind', 'the leader takes what it asks for to be given back', (mesh) => {
    mesh.taps.onRequest = (request) => {
      const decoded = isOf(request, 'command.revoke') ? decode(request.data) : null;
      const state = mesh.api?.state();
      if (decoded?.kind !== 'ok' || decoded.message.name !== 'command.revoke') return request;
      const { run: id, task: name, superseded, gang } = decoded.message.data;
      const run = state?.runs.get(id);
      const task = run?.tasks.get(name);
      if (state === undefined || task?.phase !== 'assigned') return request;
      if (superseded === true || gang !== undefined) return request;
      Object.assign(task, { phase: 'pending', n: task.n + 1 });
      enqueue(state.scheduler, id, task.index);
      markDirty(state, 'all');
      return PRETENDED;
    };
  }),
  mutation('take-back-counts', 'what is given back counts as a failure', (mesh) => {
    mesh.taps.onRequest = (request) =>
      isOf(request, 'task.retrying')
        ? { ...request, data: replaced(request.data, '"class":"drained"', '"class":"exit"') }
        : request;
  }),
  mutation('cycle-lost', 'the word that a cycle has begun is lost', (mesh) => {
    mesh.taps.onRequest = (request) => (isOf(request, 'run.cycle_started') ? PRETENDED : request);
  }),
  mutation('withdraw-begun', 'what runs of a later cycle is withdrawn with what waits', (mesh) => {
    mesh.taps.onTail = (message) => {
      const isEnd = isOf(message, 'run.stopping') || isOf(message, 'run.budget_used');
      for (const run of isEnd ? (mesh.api?.state().runs.values() ?? []) : [])
        for (const task of run.listed)
          if (task.phase === 'assigned' && task.plan.repeat > 1) task.phase = 'pending';
      return message;
    };
  }),
  mutation('hasty-retry', 'the leader forgets that a retry waits', (mesh) => {
    mesh.taps.onTail = (message) => {
      for (const run of mesh.api?.state().runs.values() ?? [])
        for (const held of run.held.values()) held.dueMs = 0;
      return message;
    };
  }),
  mutation('forget-held', 'the leader forgets what attempts hold of a lock', (mesh) => {
    mesh.taps.onTail = (message) => {
      for (const lock of mesh.api?.state().scheduler.locks.values() ?? []) lock.held = 0;
      return message;
    };
  }),
  mutation('silent-survivors', 'an agent does not say that survivors are gone', () =>
    events((event) => (event.name === 'attempt.survivors_gone' ? null : event)),
  ),
  mutation('unheld-survivors', 'locks are given back though processes are left', (mesh) => {
    mesh.taps.onTail = (message) => {
      const state = mesh.api?.state();
      for (const run of state?.runs.values() ?? [])
        for (const open of run.open.values()) {
          const index = run.tasks.get(open.task)?.index;
          if (open.survives !== true || state === undefined || index === undefined) continue;
          delete open.survives;
          giveLocksBack(state.scheduler, run.id, index);
          markDirty(state, 'all');
        }
      return message;
    };
  }),
  mutation('unbounded-parallel', 'maxParallel is forgotten', (mesh) => {
    mesh.taps.onTail = (message) => {
      for (const { queue } of mesh.api?.state().scheduler.runs.values() ?? [])
        Object.assign(queue, { maxParallel: Infinity });
      return message;
    };
  }),
  mutation('forget-revoke', 'an agent that is back leaves running what was superseded', () =>
    mails((text) => text.replace(',"superseded":true', '')),
  ),
  mutation('lose-revoke', 'a revoke is taken for stored, and is not', (mesh) => {
    mesh.taps.onRequest = (request) => (isOf(request, 'command.revoke') ? PRETENDED : request);
  }),
  mutation('requeue-before-revoke', 'a lost task goes on before its revoke is stored', (mesh) => {
    mesh.taps.onRequest = (request) => {
      const decoded = isOf(request, 'command.revoke') ? decode(request.data) : null;
      if (decoded?.kind !== 'ok') return request;
      const { message } = decoded;
      mesh.api?.post({
        kind: 'command',
        record: { subject: request.subject, sequence: 1e9, timeMs: 0, message },
      });
      return PRETENDED;
    };
  }),
  mutation('double-assign-lost', 'a task that was requeued is handed out twice', (mesh) => {
    mesh.taps.onTail = (message) => {
      const [, run = '', id = ''] = /\.task\.([^.]+)\.([^.]+)$/.exec(message.subject) ?? [];
      const task = mesh.api?.state().runs.get(run)?.tasks.get(id);
      if (task !== undefined && isSuperseding(message))
        mesh.world.after(40, () => {
          const { api } = mesh;
          if (api === null || task.phase !== 'assigned') return;
          enqueue(api.state().scheduler, run, task.index);
          markDirty(api.state(), 'all');
        });
      return message;
    };
  }),
  mutation('count-late-exit', 'the end of a superseded attempt ends its task', (mesh) => {
    mesh.taps.onTail = (message) => {
      const parsed = parseSubject(message.subject);
      if (parsed?.kind !== 'attempt' || !isOf(message, 'attempt.exited')) return message;
      const { run, task: id, n } = parsed.ref;
      const task = mesh.api?.state().runs.get(run)?.tasks.get(id);
      if (task !== undefined && task.phase !== 'ended' && n < task.n)
        Object.assign(task, { n, phase: 'assigned' });
      return message;
    };
  }),
  mutation('hasty-gang', 'with a rank that is lost the others count as ended', (mesh) => {
    mesh.taps.onTail = (message) => {
      const [, run = ''] = /\.revoke\.([^.]+)$/.exec(message.subject) ?? [];
      const isLost = Buffer.from(message.data).includes('"superseded":true');
      for (const { ranks, ended } of (isLost && mesh.api?.state().runs.get(run)?.gangs.values()) ||
        [])
        for (const [place, rank] of ranks.entries()) {
          if (rank.end !== null) continue;
          rank.end = { outcome: 'lost', stage: null, class: 'lost', reason: null };
          ended.push(place);
        }
      return message;
    };
  }),
  mutation('unnamed-rank', 'nobody is told which rank of a gang is left behind', (mesh) => {
    mesh.taps.onRequest = (request) => {
      const text = Buffer.from(request.data).toString();
      if (!isOf(request, 'task.retrying') && !isOf(request, 'task.ended')) return request;
      return { ...request, data: Buffer.from(text.replace(/,"without":\[[^\]]*\]/, '')) };
    };
  }),
  mutation('purge-unread', 'what a lost agent has still to read goes with its run', (mesh) => {
    mesh.taps.onRequest = (request) => {
      if (request.subject !== '$JS.API.STREAM.PURGE.BM_COMMANDS') return request;
      const text = Buffer.from(request.data).toString();
      return { ...request, data: Buffer.from(text.replace(/cmd\.\w+\.revoke/, 'cmd.*.revoke')) };
    };
  }),
  mutation('forget-nothing', 'the leader does not read that an agent was forgotten', (mesh) => {
    mesh.taps.onTail = (message) => (isOf(message, 'agent.forgotten') ? null : message);
  }),
  mutation('grudge', 'tasks that pass on a host do not take back what failed there', (mesh) => {
    const rows = new Map<string, AgentEntry['failedInARow']>();
    mesh.taps.onTail = (message) => {
      for (const agent of mesh.api?.state().fleet.agents.values() ?? []) {
        const row = rows.get(agent.id) ?? [];
        if (agent.failedInARow.length < row.length) agent.failedInARow = row;
        else rows.set(agent.id, agent.failedInARow);
      }
      return message;
    };
  }),
  mutation('forget-cordon', 'the leader forgets that a host is cordoned', (mesh) => {
    mesh.taps.onTail = (message) => {
      const { fleet } = mesh.api?.state() ?? {};
      for (const agent of fleet?.agents.values() ?? []) {
        if (agent.cordon !== null && mesh.api !== null) markDirty(mesh.api.state(), [agent.id]);
        agent.cordon = null;
      }
      return message;
    };
  }),
  mutation('forget-raise', 'the leader forgets what a further attempt needs', (mesh) => {
    mesh.taps.onTail = (message) => {
      for (const run of mesh.api?.state().runs.values() ?? [])
        for (const task of run.listed) task.needs = null;
      return message;
    };
  }),
  mutation('uncounted-lost', 'lost hosts are not counted', (mesh) => {
    mesh.taps.onTail = (message) => {
      for (const run of mesh.api?.state().runs.values() ?? [])
        for (const task of run.listed) if (task.used !== null) delete task.used.lost;
      return message;
    };
  }),
];

function mutation(name: string, what: string, plant: (mesh: Mesh) => unknown): Mutation {
  return { name, what, plant: plant as Plant };
}

const PRETENDED: RequestOutcome = {
  kind: 'reply',
  message: { data: Buffer.from('{"stream":"BM_EVENTS","seq":1}') } as never,
};

/** The word that a task goes on without an attempt whose host is lost. */
function isSuperseding(message: Stored): boolean {
  return isOf(message, 'task.retrying') && Buffer.from(message.data).includes('"superseded":true');
}

function isOf({ data }: Pick<Request | Stored, 'data'>, name: MessageName): boolean {
  return Buffer.from(data).includes(`"type":"${typeOf(name)}"`);
}

/** Without what the server is to expect. */
function unexpected(request: Request): Request {
  return { ...request, options: { ...request.options, headers: ownHeaders(request) } };
}

function ownHeaders({ options }: Request): Record<string, string> {
  const {
    expectedLastSubjectSequence: last,
    expectedLastSubjectSequenceSubject: of,
    messageId,
  } = SERVER_HEADERS;
  return Object.fromEntries(
    Object.entries(options.headers ?? {}).filter(
      ([name]) => ![last, of, messageId].includes(name as never),
    ),
  );
}

function replaced(data: Uint8Array, text: string, by: string): Uint8Array {
  return Buffer.from(Buffer.from(data).toString().replace(text, by));
}

function changed(event: NumberedEvent, change: object): NumberedEvent {
  return { ...event, data: { ...event.data, ...change } };
}

/** Of an agent's events on their way from its ledger to its outbox. */
function events(change: (event: NumberedEvent) => NumberedEvent | null): () => void {
  const publish = Reflect.get(EventSink.prototype, 'publish');
  return patch(
    EventSink.prototype,
    'publish',
    function published(this: EventSink, event: NumberedEvent) {
      const given = change(event);
      if (given !== null) publish.call(this, given);
    },
  );
}

/** Of commands on their way to an agent's ledger. */
function mails(change: (text: string, sequence: number) => string): () => void {
  const onMail = Reflect.get(CommandIntake.prototype, 'onMail');
  return patch(
    CommandIntake.prototype,
    'onMail',
    function mailed(this: CommandIntake, mail: Parameters<CommandIntake['onMail']>[0]) {
      return onMail.call(this, {
        ...mail,
        data: Buffer.from(change(Buffer.from(mail.data).toString(), mail.sequence)),
      });
    },
  );
}

function patch<T extends object>(prototype: T, name: keyof T & string, fake: unknown): () => void {
  const real = prototype[name];
  Object.assign(prototype, { [name]: fake });
  return () => {
    Object.assign(prototype, { [name]: real });
  };
}
