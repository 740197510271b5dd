/** A task on two hosts, driven by hand, some of whose agents fall silent. */
import { expect } from 'vitest';
import { AGENT_LEASE_MS } from '#coordinator/fleet/fleet-reducer.ts';
import type { RunEntry } from '#coordinator/runs/run-state.ts';
import { attemptViews, type AttemptView } from '#protocol/fold/attempt-view.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { taskView, type TaskView } from '#protocol/fold/task-view.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { beatOf } from './miniature-messages.ts';
import { Miniature } from './miniature.ts';

export const RUN = '2026-02-13_14-30-45-aaaa';
export const NEEDS = { slots: 1, cpus: 0, exclusive: false, hosts: 2 };
const AFTER_MS = 20_000;
export const LONG_MS = AGENT_LEASE_MS + AFTER_MS + 8_000;
export const TOKEN = 700;

type Said = EventRecord['message']['data'];

/** A gang on the first two of three agents. */
export class Gang {
  readonly mesh = new Miniature([{ slots: 1 }, { slots: 1 }, { slots: 1 }]);

  constructor(suite: Partial<SuiteSpec> = {}, before?: (mesh: Miniature) => void) {
    const onLost = { requeueAfterMs: AFTER_MS };
    this.mesh.submit(RUN, { needs: NEEDS, axes: { item: [1] }, onLost, ...suite });
    before?.(this.mesh);
    this.flow();
    if (before === undefined) expect(this.begun()).toEqual(['a0 1', 'a1 1']);
  }

  /** What is stored is read, by these agents too; none of what runs ends by itself. */
  flow(agents: readonly number[] = [0, 1, 2]): void {
    const { mesh } = this;
    const reads = (): boolean => agents.some((at) => mesh.agentReads(at, false));
    while (
      mesh.storeOne(0) ||
      mesh.readEvent() ||
      mesh.readCommand() ||
      mesh.sayPassed() ||
      reads()
    );
  }

  /** Only these are heard, and read. */
  pass(ms: number, heard: readonly number[]): void {
    for (let passedMs = 0; passedMs < ms; passedMs += 4_000) {
      this.beat(heard);
      this.mesh.later(4_000);
      this.flow(heard);
    }
  }

  beat(heard: readonly number[]): void {
    for (const [at, agent] of this.mesh.agents.entries())
      if (heard.includes(at)) this.mesh.post({ kind: 'heartbeat', beat: beatOf(agent) });
  }

  /** Until a revoke of the silent ones is on its way. */
  untilRevoking(heard: readonly number[]): void {
    const isRevoking = (): boolean =>
      this.mesh.outgoing.some(({ name }) => name === 'command.revoke');
    this.pass(AGENT_LEASE_MS + AFTER_MS - 6_000, heard);
    for (let waited = 0; !isRevoking(); waited += 1) {
      expect(waited).toBeLessThan(10);
      this.beat(heard);
      this.mesh.later(4_000);
    }
  }

  forget(heard: readonly number[]): void {
    const request = { agent: 'a0', by: 'u@h', reason: 'sold', force: false };
    this.mesh.post({ kind: 'forget', token: TOKEN, request });
    this.flow(heard);
  }

  begun(): string[] {
    return this.mesh.agents.flatMap(({ id, begun: keys }) =>
      keys.map((key) => `${id} ${key.split('#')[1] ?? ''}`),
    );
  }

  said(name: string): Said[] {
    const of = this.mesh.events.filter(({ message }) => message.name === name);
    return of.map(({ message }) => message.data);
  }

  /** Of what was superseded; those that end the other ranks go with their run. */
  revokes(): Said[] {
    return this.mesh.commands.flatMap((record) => {
      const message = record?.message;
      const isOne = message?.name === 'command.revoke' && message.data.superseded === true;
      return isOne ? [message.data] : [];
    });
  }

  get run(): RunEntry {
    const run = this.mesh.core.runs.get(RUN);
    if (run === undefined) throw new Error('no run');
    return run;
  }

  view(): TaskView {
    const [task] = this.run.fold.tasks.values();
    if (task === undefined) throw new Error('no task');
    return taskView(this.run.fold, task);
  }

  attempts(): AttemptView[] {
    const [task] = this.run.fold.tasks.values();
    return task === undefined ? [] : attemptViews(task);
  }
}
