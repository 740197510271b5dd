/** Bugs in how tasks go on that were on hosts which are lost. */
import { markDirty } from '#coordinator/core/core-state.ts';
import { enqueue } from '#coordinator/scheduler/scheduler-reducer.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { PRETENDED, isOf, isSuperseding, mails, mutation, type Mutation } from './planting.ts';

export const OF_LOST_HOSTS: readonly Mutation[] = [
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
  mutation('uncounted-lost', 'lost hosts are not counted', (mesh) => {
    mesh.taps.onTail = (message) => {
      for (const run of mesh.api?.state().runs.values() ?? [])
        for (const task of run.listed) if (task.used !== null) delete task.used.lost;
      return message;
    };
  }),
];
