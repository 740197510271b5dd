/**
 * Tasks on several hosts: started on all or none, on different hosts; no rank goes through a barrier before
 * every rank has said that it is there; nothing follows while a rank of it lives. A rank that begins anew
 * elsewhere was given up first, and its agent told; what the old one says is none of the gang's.
 */
import type { Message } from '#protocol/messages/envelope.ts';
import type { GangSpec } from '#protocol/messages/attempt/gang.ts';
import type { Start } from './seen.ts';
import { RAMP_STEP } from '#protocol/messages/attempt/ramp.ts';
import type { Machine } from '../world/machine.ts';
import { RampChecks } from './ramp-checks.ts';
import type { Step } from '../world/step.ts';

interface Of {
  readonly note: (text: string) => void;
  readonly starts: ReadonlyMap<string, Start>;
  /** Attempts and ranks that were given up, by key. */
  readonly revoked: ReadonlyMap<string, string>;
}

interface GangSeen {
  readonly gang: GangSpec;
  /** By rank: who was given it last. */
  readonly agents: Map<number, string>;
  /** Who had one that was given up there. */
  readonly left: Set<string>;
  /** By how many were replaced: where all of them are. */
  readonly peers: Map<number, string>;
  /** Barriers that were opened, with all there. */
  readonly opened: Set<string>;
  /** By barrier: the agents that are there. */
  readonly ready: Map<string, Set<string>>;
  readonly exits: Map<string, string>;
}

/** `run/task#n`, of a rank with its agent. */
export function rankKey(attempt: string, agent: string): string {
  return `${attempt}@${agent}`;
}

/** Without the rank. */
export function attemptOf(key: string): string {
  const at = key.lastIndexOf('@');
  return at < 0 ? key : key.slice(0, at);
}

export class GangChecks {
  readonly #of: Of;
  readonly #gangs = new Map<string, GangSeen>();
  readonly #ramps: RampChecks;

  constructor(of: Of) {
    this.#of = of;
    this.#ramps = new RampChecks(of.note);
  }

  onStart(attempt: string, agent: string, gang: GangSpec): void {
    const known = this.#gangs.get(attempt) ?? {
      gang,
      agents: new Map<number, string>(),
      left: new Set<string>(),
      peers: new Map<number, string>(),
      opened: new Set<string>(),
      ready: new Map<string, Set<string>>(),
      exits: new Map<string, string>(),
    };
    this.#gangs.set(attempt, known);
    const { rank, peers, epoch = 0, opened = [] } = gang;
    const other = known.agents.get(rank);
    if (other !== undefined && other !== agent && !known.left.has(other))
      this.#of.note(`I4: rank ${rank} of ${attempt} is given to ${agent} after ${other}`);
    if (
      known.left.has(agent) ||
      [...known.agents].some(([at, one]) => one === agent && at !== rank)
    )
      this.#of.note(`I4: ${agent} is given a second rank of ${attempt}`);
    for (const barrier of opened)
      if (!known.opened.has(barrier))
        this.#of.note(`${agent} need not wait at ${barrier} of ${attempt}, which is not open`);
    known.agents.set(rank, agent);
    if (peers[rank]?.agent !== agent)
      this.#of.note(`rank ${rank} of ${attempt} is given to ${agent}, and its peers know another`);
    if (new Set(peers.map((peer) => peer.agent)).size !== peers.length)
      this.#of.note(`${attempt} has two ranks on one agent`);
    this.onPeers(attempt, epoch, peers);
  }

  /** All that are told of as many replacements are told the same. */
  onPeers(attempt: string, epoch: number, peers: readonly object[]): void {
    const known = this.#gangs.get(attempt);
    const text = JSON.stringify(peers);
    if (known === undefined) return;
    if ((known.peers.get(epoch) ?? text) !== text)
      this.#of.note(`the ranks of ${attempt} do not know the same peers`);
    known.peers.set(epoch, text);
  }

  /** A rank of it is given up: its agent was told before (I4). */
  onRankLost(attempt: string, rank: number, agent: string): void {
    const gang = this.#gangs.get(attempt);
    const key = rankKey(attempt, agent);
    if (!this.#of.revoked.has(key)) this.#of.note(`I4: ${key} is given up, and was not revoked`);
    if (rank === 0) this.#of.note(`${key} is to be replaced, and the others hold its address`);
    gang?.left.add(agent);
  }

  has(attempt: string): boolean {
    return this.#gangs.has(attempt);
  }

  onEvent(attempt: string, agent: string, message: Message): void {
    const gang = this.#gangs.get(attempt);
    if (gang === undefined) return;
    this.#ramps.onEvent(attempt, agent, message);
    const { name, data } = message;
    if (name === 'attempt.exited') gang.exits.set(agent, data.outcome);
    if (name !== 'attempt.ready') return;
    const there = gang.ready.get(data.barrier) ?? new Set<string>();
    gang.ready.set(data.barrier, there.add(agent));
  }

  /** Of the task: what lets its ranks go. */
  onSaid(task: string, message: Message): void {
    const { name, data } = message;
    const isStage = name === 'task.stage_opened' || name === 'task.ramp_ended';
    if (name !== 'task.barrier_opened' && !isStage) return;
    const attempt = `${task}#${data.n}`;
    const gang = this.#gangs.get(attempt);
    if (gang !== undefined) this.#ramps.onSaid(attempt, gang.agents, message);
    if (name !== 'task.ramp_ended')
      this.onOpened(attempt, name === 'task.barrier_opened' ? data.barrier : RAMP_STEP);
  }

  /** The word that lets them go, to all or to one of them. */
  onOpened(attempt: string, barrier: string): void {
    const gang = this.#gangs.get(attempt);
    if (gang === undefined || gang.opened.has(barrier)) return;
    gang.opened.add(barrier);
    if (!isWhole(gang, barrier))
      this.#of.note(`${attempt} is let go before ${barrier}, and not all of its ranks are there`);
  }

  onBegun({ id }: Machine, { key, dir }: Step): void {
    const gang = this.#gangs.get(attemptOf(key));
    const barrier = gang?.gang.barriers.find((step) => dir.endsWith(`.step.${step}`));
    if (gang === undefined || barrier === undefined) return;
    if (!gang.opened.has(barrier))
      this.#of.note(`${key} begins ${barrier} on ${id}, and not all ranks were ready`);
    const agent = key.slice(key.lastIndexOf('@') + 1);
    const rank = [...gang.agents].find(([, one]) => one === agent)?.[0] ?? -1;
    this.#ramps.onBegun(attemptOf(key), rank, barrier);
  }

  /** What the attempt is known by on this agent. */
  keyOf(attempt: string, agent: string): string {
    return this.#gangs.has(attempt) ? rankKey(attempt, agent) : attempt;
  }

  /** Of an attempt by all its agents. */
  keysOf(attempt: string): string[] {
    const gang = this.#gangs.get(attempt);
    if (gang === undefined) return [attempt];
    return [...gang.agents.values()].map((agent) => rankKey(attempt, agent));
  }

  /**
   * Something follows the attempt: its gang is over, every rank of it but those that were given up. `alive`:
   * keys of what lives; `without`: agents that are said to have told no end.
   */
  onFollowed(attempt: string, alive: readonly string[], without: readonly string[]): void {
    const gang = this.#gangs.get(attempt);
    if (gang === undefined) return;
    for (const agent of new Set([...gang.agents.values(), ...gang.left])) {
      const key = rankKey(attempt, agent);
      const isLeft = this.#of.revoked.has(key);
      if (!gang.exits.has(agent) && !isLeft)
        this.#of.note(`I4: ${attempt} is over, and its rank on ${agent} has not exited`);
      if (!gang.exits.has(agent) && isLeft && !without.includes(agent))
        this.#of.note(`I5: ${attempt} is over, and nobody is told that ${key} may live`);
      if (alive.includes(key) && !isLeft) this.#of.note(`I5: ${attempt} is over, and ${key} lives`);
    }
    for (const agent of without)
      if (!this.#of.revoked.has(rankKey(attempt, agent)))
        this.#of.note(`I4: ${attempt} is over without ${agent}, and ${agent} was not told`);
  }

  /** Of a gang by its ranks; undefined where one has not exited. */
  exitOf(attempt: string, exits: ReadonlyMap<string, string>): string | undefined {
    const gang = this.#gangs.get(attempt);
    if (gang === undefined) return exits.get(attempt);
    const ends = this.keysOf(attempt).map(
      (key) => exits.get(key) ?? (this.#of.revoked.has(key) ? 'lost lost' : undefined),
    );
    if (ends.includes(undefined)) return undefined;
    if (ends.length === gang.gang.peers.length && ends.every((end) => end === 'passed'))
      return 'passed';
    return ends.find((end) => end !== 'passed' && end !== 'stopped gang') ?? 'failed';
  }

  /** A task has passed: all of it was started, and all ranks have passed. */
  onPassed(attempt: string): void {
    const gang = this.#gangs.get(attempt);
    if (gang === undefined) return;
    const isWholly = gang.gang.peers.every(
      (_, rank) => gang.exits.get(gang.agents.get(rank) ?? '') === 'passed',
    );
    if (!isWholly) this.#of.note(`${attempt} is told as passed, and not all of its ranks have`);
  }
}

function isWhole({ gang: { peers }, agents, ready }: GangSeen, barrier: string): boolean {
  return peers.every((_, rank) => ready.get(barrier)?.has(agents.get(rank) ?? '') === true);
}
