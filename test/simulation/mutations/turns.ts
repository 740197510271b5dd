/** Bugs in who runs when, where, and how often. */
import { markDirty } from '#coordinator/core/core-state.ts';
import type { AgentEntry } from '#coordinator/fleet/fleet-reducer.ts';
import { enqueue, giveLocksBack } from '#coordinator/scheduler/scheduler-reducer.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { PRETENDED, events, isOf, mutation, replaced, type Mutation } from './planting.ts';

export const OF_TURNS: readonly Mutation[] = [
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
];
