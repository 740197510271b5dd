/** Bugs in tasks on several hosts. */
import { lastAttempt } from '#protocol/fold/task-attempts.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import type { Mesh } from '../mesh/mesh.ts';
import { PRETENDED, isOf, mutation, type Mutation } from './planting.ts';

/** Its ranks are replaced where their hosts are lost. */
function isOfReplacing(mesh: Mesh, subject: string): boolean {
  const run = mesh.api?.state().runs.get(subject.split('.').at(-1) ?? '');
  return run?.suite.gang?.onRankLost !== undefined;
}

export const OF_GANGS: readonly Mutation[] = [
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
        for (const task of fold.tasks.values())
          for (const rank of lastAttempt(task)?.gang?.ranks ?? [])
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
  mutation('replace-unrevoked', 'a lost rank begins anew before its revoke is stored', (mesh) => {
    mesh.taps.onRequest = (request) => {
      const decoded = isOf(request, 'command.revoke') ? decode(request.data) : null;
      if (decoded?.kind !== 'ok' || !isOfReplacing(mesh, request.subject)) return request;
      const record = { subject: request.subject, sequence: 1e9, timeMs: 0 };
      mesh.api?.post({ kind: 'command', record: { ...record, message: decoded.message } });
      return PRETENDED;
    };
  }),
  mutation('skip-barrier', 'a rank that begins anew waits at no barrier, open or not', (mesh) => {
    mesh.taps.onRequest = (request) => {
      const text = Buffer.from(request.data).toString();
      const opened = /"opened":\[[^\]]*\]/;
      return { ...request, data: Buffer.from(text.replace(opened, '"opened":["setup","run"]')) };
    };
  }),
  mutation(
    'old-rank-counts',
    'the end of a rank that was given up is that of the new one',
    (mesh) => {
      mesh.taps.onTail = (message) => {
        const parsed = parseSubject(message.subject);
        if (parsed?.kind !== 'attempt' || !isOf(message, 'attempt.exited')) return message;
        const { run, task } = parsed.ref;
        const gang = mesh.api?.state().runs.get(run)?.gangs.get(task);
        const place = gang?.ranks.findIndex(({ epoch }) => epoch > 0) ?? -1;
        const rank = gang?.ranks[place];
        if (gang?.gone.has(parsed.agent) !== true || rank === undefined || rank.end !== null)
          return message;
        rank.end = { outcome: 'passed', stage: null, class: null, reason: null };
        gang.ended.push(place);
        return message;
      };
    },
  ),
  mutation('unnamed-rank', 'nobody is told which rank of a gang is left behind', (mesh) => {
    mesh.taps.onRequest = (request) => {
      const text = Buffer.from(request.data).toString();
      if (!isOf(request, 'task.retrying') && !isOf(request, 'task.ended')) return request;
      return { ...request, data: Buffer.from(text.replace(/,"without":\[[^\]]*\]/, '')) };
    };
  }),
];
