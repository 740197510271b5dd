/** Hosts on which all fails: who has one, and that cordons have their reasons and are kept. */
import type { CoreState } from '#coordinator/core/core-state.ts';
import { saysOfHost } from '#coordinator/fleet/failing-policy.ts';
import type { Message } from '#protocol/messages/envelope.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { seededRandom } from '#test/support/seed.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import type { Stored } from '../world/server.ts';

/** On one of several hosts of some scenarios every step fails. Drawn apart from the rest. */
export function withFailingHost(scenario: Omit<Scenario, 'cordonAfter'>): Scenario {
  const random = seededRandom(scenario.seed ^ 0x0fa1_1000);
  const isOne = random() < 0.35 && scenario.hosts.length > 1;
  const which = Math.floor(random() * scenario.hosts.length);
  const cordonAfter = 2 + Math.floor(random() * 2);
  if (!isOne) return { ...scenario, cordonAfter: random() < 0.5 ? 0 : cordonAfter };
  const hosts = scenario.hosts.map((host, at) => (at === which ? { ...host, failing: 1 } : host));
  return { ...scenario, cordonAfter, hosts };
}

/** `uncordoned`: what was before it counts no more. */
type Said =
  | { readonly kind: 'passed' | 'failed'; readonly run: string; readonly task: string }
  | { readonly kind: 'uncordoned' };

export class CordonChecks {
  /** By agent, as stored. */
  readonly #said = new Map<string, Said[]>();
  readonly #archived = new Set<string>();
  /** Where so many have failed in a row at some time since the last uncordon. */
  readonly #reached = new Set<string>();
  /** As stored; a leader reads it later. */
  readonly #cordoned = new Set<string>();
  /** Attempts of agents whose cordon the leader of that epoch has read. */
  readonly #handedOut = new Map<string, number>();
  #epoch = 0;
  readonly #of: { readonly after: number; readonly note: (text: string) => void };
  cordons = 0;

  constructor(of: { readonly after: number; readonly note: (text: string) => void }) {
    this.#of = of;
  }

  onStored({ subject, stream }: Stored, message: Message | null): void {
    const parsed = parseSubject(subject);
    if (stream !== 'BM_EVENTS' || message === null || parsed === null) return;
    if (message.name === 'run.archived' && parsed.kind === 'run') this.#archived.add(parsed.run);
    if (message.name === 'attempt.exited' && parsed.kind === 'attempt') {
      const { run, task } = parsed.ref;
      const kind = saysOfHost(message.data);
      if (kind !== null) this.#saidOf(parsed.agent).push({ kind, run, task });
      if (this.#rowOf(parsed.agent) >= this.#of.after) this.#reached.add(parsed.agent);
    }
    if (parsed.kind !== 'fleet') return;
    if (message.name === 'agent.uncordoned')
      this.#saidOf(parsed.agent).push({ kind: 'uncordoned' });
    if (message.name === 'agent.uncordoned') this.#reached.delete(parsed.agent);
    if (message.name === 'agent.uncordoned' || message.name === 'agent.forgotten')
      this.#cordoned.delete(parsed.agent);
    if (message.name === 'agent.cordoned') this.#cordoned.add(parsed.agent);
    if (message.name === 'agent.cordoned' && message.data.by === 'coordinator')
      this.#onCordoned(parsed.agent);
  }

  #saidOf(agent: string): Said[] {
    const said = this.#said.get(agent) ?? [];
    this.#said.set(agent, said);
    return said;
  }

  #onCordoned(agent: string): void {
    const { after, note } = this.#of;
    this.cordons += 1;
    const failed = this.#rowOf(agent);
    if (after === 0) note(`${agent} is cordoned, which nobody has asked for`);
    // Tasks may have passed there while the word was on its way.
    if (failed < after && !this.#reached.has(agent))
      note(`${agent} is cordoned after ${failed} failures in a row, not ${after}`);
    const hasPassed = [...this.#said].some(
      ([other, said]) => other !== agent && said.some(({ kind }) => kind === 'passed'),
    );
    if (!hasPassed) note(`${agent} is cordoned, and no task has passed elsewhere`);
  }

  /** Different tasks; of a run that is purged a new leader knows no passes. */
  #rowOf(agent: string): number {
    const tasks = new Set<string>();
    for (const said of this.#saidOf(agent).toReversed()) {
      if (said.kind === 'uncordoned') break;
      const { kind, run, task } = said;
      if (kind === 'failed') tasks.add(`${run}/${task}`);
      else if (!this.#archived.has(run)) break;
    }
    return tasks.size;
  }

  /** After each step: since its leader has read the cordon, an agent has no more in hand than it had before. */
  look({ acting, epoch, fleet, scheduler }: CoreState): void {
    if (!acting) return;
    if (this.#epoch !== epoch) this.#handedOut.clear();
    this.#epoch = epoch;
    for (const { id, cordon } of fleet.agents.values()) {
      if (!this.#cordoned.has(id)) this.#handedOut.delete(id);
      if (!this.#cordoned.has(id)) continue;
      const had = this.#handedOut.get(id);
      if (cordon === null && had === undefined) continue;
      const now = scheduler.usage.get(id)?.attempts ?? 0;
      if (had !== undefined && now > had) this.#of.note(`${id} is cordoned, and was given more`);
      this.#handedOut.set(id, now);
    }
  }
}
