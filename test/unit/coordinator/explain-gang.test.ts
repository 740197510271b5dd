/** Why a task that takes several hosts at once waits, and what its hosts are kept for. */
import { describe, expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import type { TaskExplanation } from '#protocol/messages/run/explain.ts';
import { Miniature } from './miniature.ts';

const SINGLES = '2026-02-13_14-30-45-aaaa';
const GANGS = '2026-02-13_14-30-46-bbbb';
const LATER = '2026-02-13_14-30-47-cccc';
const NEEDS = { slots: 1, cpus: 0, exclusive: true };

function flow(mesh: Miniature): void {
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
}

function submit(mesh: Miniature, run: string, needs: object, items: number[]): void {
  mesh.submit(run, { axes: { item: items }, needs: { ...NEEDS, ...needs } });
  flow(mesh);
}

const idOf = (mesh: Miniature, run: string, index: number): string =>
  mesh.core.runs.get(run)?.listed[index]?.id ?? '';

const why = (mesh: Miniature, run: string, index: number): TaskExplanation =>
  explain(mesh.core, { run, task: idOf(mesh, run, index) }) as TaskExplanation;

const reasonsOf = ({ agents }: TaskExplanation): string[] =>
  agents.map(({ reason }) => reason.kind);

describe('a task that takes several hosts at once', () => {
  it('is told how many have room, and what keeps the others', () => {
    const mesh = new Miniature([{ slots: 1 }, { slots: 1 }, { slots: 1 }, { slots: 1 }]);
    submit(mesh, SINGLES, { host: ['a0'] }, [1]);
    submit(mesh, GANGS, { hosts: 4 }, [1, 2]);
    const waiting = why(mesh, GANGS, 0);
    expect(waiting.reason).toEqual({
      kind: 'waiting',
      gang: {
        ...{ hosts: 4, could: 4, ready: 3 },
        kept: { run: GANGS, task: idOf(mesh, GANGS, 0), own: true },
      },
    });
    expect(reasonsOf(waiting)).toEqual(['taken', 'has_room', 'has_room', 'has_room']);
    const second = why(mesh, GANGS, 1);
    expect(second.reason).toMatchObject({ gang: { kept: { own: false } } });
    const listed = 'listed_before';
    expect(reasonsOf(second)).toEqual(['taken', listed, listed, listed]);
  });

  it('has its hosts kept: what comes later says for whom', () => {
    const mesh = new Miniature([{ slots: 1 }, { slots: 1 }, { slots: 1 }]);
    submit(mesh, SINGLES, { host: ['a0'] }, [1]);
    submit(mesh, GANGS, { hosts: 2, host: ['a0', 'a1'] }, [1]);
    submit(mesh, LATER, { host: ['a0', 'a1'] }, [1]);
    const kept = { kind: 'reserved', run: GANGS, task: idOf(mesh, GANGS, 0) };
    expect(why(mesh, LATER, 0).agents.map(({ reason }) => reason)).toEqual([
      kept,
      kept,
      { kind: 'other_host', wanted: ['a0', 'a1'] },
    ]);
  });

  it('never begins where too few hosts could run it, and keeps none', () => {
    const mesh = new Miniature([
      { slots: 1, hostId: 'h' },
      { slots: 1, hostId: 'h' },
      { slots: 1 },
    ]);
    submit(mesh, GANGS, { hosts: 3 }, [1]);
    expect(why(mesh, GANGS, 0).reason).toEqual({ kind: 'few_hosts', needs: 3, could: 2 });
    expect(mesh.core.scheduler.reserved).toBeNull();
    expect(mesh.replies.get(1)).toMatchObject({
      reply: { unplaceable: [{ tasks: 1, hosts: { needs: 3, could: 2 } }] },
    });
    submit(mesh, LATER, {}, [1, 2]);
    expect(why(mesh, LATER, 0).reason).toMatchObject({ kind: 'handed_out' });
  });

  it('is with all of its agents once it is handed out', () => {
    const mesh = new Miniature([{ slots: 1 }, { slots: 1 }, { slots: 1 }]);
    submit(mesh, GANGS, { hosts: 3 }, [1]);
    expect(why(mesh, GANGS, 0).reason).toEqual({
      ...{ kind: 'handed_out', agent: 'a0', n: 1, agents: ['a0', 'a1', 'a2'] },
      waiting: null,
    });
    const agent = mesh.core.fleet.agents.get('a1');
    if (agent === undefined) throw new Error('no agent');
    agent.unreachable = true;
    expect(why(mesh, GANGS, 0).reason).toEqual({ kind: 'unknown', agent: 'a1', n: 1 });
  });
});
