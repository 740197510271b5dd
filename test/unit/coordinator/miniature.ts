/**
 * The coordinator's actor with two streams and some agents around it, all in one value, driven step
 * by step from outside: what is stored when, how far each tail lags, when an agent acts, when a
 * leader dies. Agents keep the rules of the wire: a start overtaken by a stop is refused, a
 * repeated command is done once, a stop is acknowledged when its attempts have exited.
 */
import {
  CORE_TIMING,
  createCore,
  type ApiAnswer,
  type CoreMessage,
  type CoreState,
  type Effect,
  type PublishEffect,
} from '#coordinator/core/core-state.ts';
import { update } from '#coordinator/core/core-reducer.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import { placeIn } from '#protocol/messages/attempt/gang.ts';
import { exited } from './exited.ts';
import { droppedTooSoon, givesBack, isStartOf, startProblems } from './miniature-checks.ts';
import { waitForRetry } from './miniature-retries.ts';
import {
  beatOf,
  recordOf,
  registrationOf,
  type MiniAgent,
  type SubmitOptions,
} from './miniature-messages.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { GivenStart, StopCommand } from '#protocol/messages/run/command.ts';
import { startsIn } from '#protocol/messages/run/starts.ts';
import type { ChangeRequest } from '#protocol/messages/run/api.ts';
import type { RunHistory } from '#protocol/suite/task-order.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { parseSubject, subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';

type Outcome = AttemptExited['outcome'];

/** Few, so that old ones are removed in short runs too. */
const STARTS_KEPT = 3;
/** The streams' clock is ahead of the coordinator's by that. */
const EPOCH_MS = 1_000_000;

export class Miniature {
  readonly events: EventRecord[] = [];
  readonly commands: (EventRecord | null)[] = [];
  readonly agents: MiniAgent[];
  /** Every placement decision, checked as it is made. */
  readonly problems: string[] = [];
  core: CoreState = createCore({ epoch: 1, sequence: 1 });
  outgoing: PublishEffect[] = [];
  archived: string[] = [];
  /** Runs in the results directory, and what was asked of it and is not read yet. */
  readonly histories = new Map<string, RunHistory>();
  reading: Extract<Effect, { kind: 'read_history' }>[] = [];
  readonly logged: string[] = [];
  /** Monotonic: when the coordinator has asked to be woken; tests do it with `later`. */
  wakesAtMs: number | null = null;
  readonly replies = new Map<number, ApiAnswer>();
  #eventAt = 0;
  #commandAt = 0;
  #epoch = 0;
  #nowMs = 0;
  #tokens = 0;
  #operators = 0;
  #isPassedDue = false;

  constructor(agents: readonly { slots: number; hostId?: string; reads?: readonly string[] }[]) {
    this.agents = agents.map(({ slots, hostId, reads = [] }, at) => ({
      id: `a${at}`,
      hostId: hostId ?? `h${at}`,
      ...{ slots, reads },
      read: 0,
      seen: new Set(),
      stops: [],
      newest: new Map(),
      live: new Map(),
      begun: [],
    }));
    this.lead();
  }

  /** A new leader: what the last one had on its way is lost, its state too. */
  lead(): void {
    this.#epoch += 1;
    this.outgoing = [];
    this.reading = [];
    this.#isPassedDue = false;
    this.#store(subjects.eventEpoch(), 'leader.elected', goldenMessages['leader.elected']);
    const timing = { ...CORE_TIMING, startsKept: STARTS_KEPT };
    this.core = createCore({ epoch: this.#epoch, sequence: this.events.length }, timing);
    this.#eventAt = 0;
    this.#commandAt = 0;
    while (this.readEvent());
    while (this.readCommand());
    for (const agent of this.agents)
      this.post({ kind: 'registered', registration: registrationOf(agent) });
    this.post({ kind: 'replayed' });
    for (const agent of this.agents) this.post({ kind: 'heartbeat', beat: beatOf(agent) });
  }

  post(message: CoreMessage): void {
    this.#nowMs += 1;
    const [state, effects] = update(this.core, message, { wallMs: 0, monotonicMs: this.#nowMs });
    this.core = state;
    for (const effect of effects) this.#perform(effect);
  }

  later(ms: number): void {
    this.#nowMs += ms;
    this.post({ kind: 'tick' });
  }

  submit(
    run: string,
    suite: Partial<SuiteSpec>,
    { ifBusy = 'queue', basis }: SubmitOptions = {},
  ): void {
    this.#tokens += 1;
    const steps = goldenSuite.steps.map((step) => ({ ...step, argv: ['true'] }));
    const spec: SuiteSpec = {
      ...goldenSuite,
      steps,
      include: [],
      exclude: [],
      repeats: 1,
      retries: {},
      ...suite,
    };
    const suiteOf = { suite: spec, suiteText: '', suiteFile: null };
    const request = { run, ...suiteOf, by: 'u@h', ifBusy, labels: {} };
    const tasks = Object.values(spec.axes).reduce((count, values) => count * values.length, 1);
    const { priority } = spec;
    const submit = { kind: 'submit' as const, token: this.#tokens, request, tasks, priority };
    this.post({ ...submit, isArchived: false, ...(basis === undefined ? {} : { basis }) });
  }

  stop(run: string, task: string | null): void {
    this.#order(run, task, {});
  }

  pause(run: string, task: string | null): void {
    this.#order(run, task, { pause: true });
  }

  requeue(run: string, task: string | null): void {
    if (task !== null) this.#order(run, task, { pause: true, requeue: true });
  }

  #order(run: string, task: string | null, as: Pick<StopCommand, 'pause' | 'requeue'>): void {
    this.#operators += 1;
    const data = { run, task, graceMs: null, now: false, by: 'u@h', reason: null, ...as };
    const id = `${as.pause === true ? 'pause' : 'stop'}${this.#operators}`;
    this.#command(subjects.stop(), 'command.stop', data, id);
  }

  /** Asks for it; `replies` has what is answered. */
  resume(run: string, task: string | null): number {
    this.#tokens += 1;
    const request = { run, task, by: 'u@h' };
    this.post({ kind: 'resume', token: this.#tokens, request });
    return this.#tokens;
  }

  /** As `resume`. */
  change(run: string, to: Pick<ChangeRequest, 'priority' | 'maxParallel'>): number {
    this.#tokens += 1;
    this.post({ kind: 'change', token: this.#tokens, request: { run, ...to, by: 'u@h' } });
    return this.#tokens;
  }

  /** As `resume`; `note` is the id of the note. */
  note(run: string, note: string, task: string | null = null): number {
    this.#tokens += 1;
    const request = { run, task, note, by: 'u@h', text: 'loud' };
    this.post({ kind: 'note', token: this.#tokens, request });
    return this.#tokens;
  }

  cordon(agent: string, undo = false, reason: string | null = 'loud'): number {
    this.#tokens += 1;
    const request = { agent, by: 'u@h', reason, undo };
    this.post({ kind: 'cordon', token: this.#tokens, request });
    return this.#tokens;
  }

  /** Stores one of what is on its way; the order on a subject holds. */
  storeOne(choice: number): boolean {
    const first = new Map<string, PublishEffect>();
    for (const effect of this.outgoing) {
      const lane = effect.unordered === true ? effect.id : effect.subject;
      if (!first.has(lane)) first.set(lane, effect);
    }
    const candidates = [...first.values()];
    const effect = candidates[choice % Math.max(1, candidates.length)];
    if (effect === undefined) return false;
    this.outgoing.splice(this.outgoing.indexOf(effect), 1);
    if (effect.subject.startsWith('bm.v1.cmd.'))
      this.#command(effect.subject, effect.name, effect.data, effect.id);
    else this.#store(effect.subject, effect.name, effect.data, effect.id);
    return true;
  }

  readEvent(): boolean {
    const record = this.events[this.#eventAt];
    if (record === undefined) return false;
    this.#eventAt += 1;
    this.post({ kind: 'event', record });
    return true;
  }

  readCommand(): boolean {
    if (this.#commandAt >= this.commands.length) return false;
    const record = this.commands[this.#commandAt] ?? null;
    this.#commandAt += 1;
    if (record !== null) this.post({ kind: 'command', record });
    return true;
  }

  /** The agent handles its next command; repeats now and then. */
  agentReads(choice: number, again: boolean): boolean {
    const agent = this.agents[choice % this.agents.length];
    if (agent === undefined || agent.read >= this.commands.length) return false;
    const record = this.commands[agent.read] ?? null;
    if (!again) agent.read += 1;
    if (record !== null) this.#handle(agent, record);
    return true;
  }

  /** One of the agent's attempts exits; now and then it says so twice. */
  agentExits(choice: number, outcome: Outcome, twice: boolean): boolean {
    const agent = this.agents[choice % this.agents.length];
    const key =
      agent === undefined
        ? undefined
        : [...agent.live.keys()][choice % Math.max(1, agent.live.size)];
    if (agent === undefined || key === undefined) return false;
    this.#exit(agent, key, outcome);
    if (twice)
      this.events.push({
        ...(this.events.at(-1) as EventRecord),
        sequence: this.events.length + 1,
      });
    return true;
  }

  /** The oldest read of a directory is done. */
  readHistory(): boolean {
    const asked = this.reading.shift();
    if (asked === undefined) return false;
    const { run, basis } = asked;
    const history = this.histories.get(basis) ?? null;
    this.post({ kind: 'history', run, history, reason: history === null ? 'ENOENT' : null });
    return true;
  }

  /** Its time has come, if it was asked for. */
  sayPassed(): boolean {
    if (!this.#isPassedDue) return false;
    this.#isPassedDue = false;
    this.post({ kind: 'say_passed' });
    return true;
  }

  /** Lets everything happen that can. */
  settle(): void {
    for (let round = 0; round < 100_000; round += 1) {
      const busy =
        this.storeOne(0) ||
        this.readEvent() ||
        this.readCommand() ||
        this.readHistory() ||
        this.sayPassed() ||
        this.agents.some((_, at) => this.agentReads(at, false)) ||
        this.agents.some((_, at) => this.agentExits(at, 'passed', false)) ||
        waitForRetry(this);
      if (!busy) return;
    }
    throw new Error('it never comes to rest');
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'publish':
        this.problems.push(...startProblems(this, effect));
        this.outgoing.push(effect);
        return;
      case 'archive':
        this.archived.push(effect.run);
        return;
      case 'make_mailbox':
        this.post({ kind: 'mailbox', agent: effect.agent, made: true });
        return;
      case 'reply':
        if (this.replies.has(effect.token)) this.problems.push(`${effect.token} answered twice`);
        this.replies.set(effect.token, effect.reply);
        return;
      case 'read_history':
        this.reading.push(effect);
        return;
      case 'log':
        this.logged.push(effect.text);
        return;
      case 'say_passed_soon':
        this.#isPassedDue = true;
        return;
      case 'wake_soon':
        this.wakesAtMs = this.#nowMs + effect.afterMs;
        return;
      case 'delete_stop':
        this.commands[effect.sequence - 1] = null;
        return;
      case 'drop_starts':
        this.problems.push(...droppedTooSoon(this, effect));
        for (const [at, record] of this.commands.slice(0, effect.before - 1).entries())
          if (record !== null && isStartOf(record, effect.run)) this.commands[at] = null;
        return;
      default:
        return;
    }
  }

  #handle(agent: MiniAgent, record: EventRecord): void {
    const { message, sequence, subject } = record;
    const parsed = parseSubject(subject);
    const isMine =
      parsed?.kind === 'stop' || (parsed?.kind === 'command' && parsed.agent === agent.id);
    if (!isMine || agent.seen.has(message.id)) return;
    agent.seen.add(message.id);
    for (const start of startsIn(message)) this.#onStart(agent, start);
    if (message.name === 'command.revoke') {
      const { superseded, gang, ...ref } = message.data;
      const key = `${ref.run}/${ref.task}#${ref.n}`;
      const isHere = agent.live.has(key);
      if (gang !== undefined) {
        if (isHere) this.#exit(agent, key, 'stopped', 'gang');
        return;
      }
      if (superseded !== true) {
        if (givesBack(agent, key)) this.#exit(agent, key, 'skipped', 'drained');
        return;
      }
      if (isHere) this.#exit(agent, key, 'lost');
      const data = { ...ref, answer: isHere ? ('started' as const) : ('unknown' as const) };
      this.#store(subjects.ack(agent.id, message.id), 'command.revoke_answered', data);
    } else if (message.name === 'command.stop') {
      const { run, task, cause, pause: isPause = false } = message.data;
      agent.newest.set(task === null ? run : `${run}/${task}`, { sequence, isPause });
      const hit = [...agent.live].filter(
        ([, spec]) => spec.run === run && (task === null || spec.task === task),
      );
      const ack = subjects.ack(agent.id, message.id);
      this.#store(ack, 'command.received', { kind: 'stop', attempts: hit.length });
      const outcome = cause === 'budget' ? 'timed_out' : 'stopped';
      for (const [key] of hit) this.#exit(agent, key, outcome, isPause ? 'paused' : null);
      this.#store(ack, 'command.stop_done', { run, task, attempts: [] });
    }
  }

  #onStart(agent: MiniAgent, { id: command, spec, afterStop }: GivenStart): void {
    const key = `${spec.run}/${spec.task}#${spec.n}`;
    const [newest] = [spec.run, `${spec.run}/${spec.task}`]
      .flatMap((target) => agent.newest.get(target) ?? [])
      .sort((a, b) => b.sequence - a.sequence);
    agent.live.set(key, spec);
    if (newest !== undefined && afterStop < newest.sequence) {
      this.#exit(agent, key, 'stopped', newest.isPause ? 'paused' : null);
      return;
    }
    agent.begun.push(key);
    const accepted = { ...goldenMessages['attempt.accepted'], command, ...placeIn(spec) };
    this.#store(subjects.attemptEvents(agent.id, spec), 'attempt.accepted', accepted);
  }

  #exit(agent: MiniAgent, key: string, ...end: [Outcome, AttemptExited['class']?]): void {
    const spec = agent.live.get(key);
    if (spec === undefined) return;
    agent.live.delete(key);
    this.#store(subjects.attemptEvents(agent.id, spec), 'attempt.exited', exited(...end));
  }

  #store<N extends MessageName>(subject: string, name: N, data: MessageData<N>, id?: string): void {
    const sequence = this.events.length + 1;
    const said = { subject, name, data, id: id ?? `e${sequence}` };
    this.events.push(recordOf({ sequence, timeMs: EPOCH_MS + this.#nowMs }, said));
  }

  #command<N extends MessageName>(
    subject: string,
    name: N,
    data: MessageData<N>,
    id: string,
  ): void {
    const at = { sequence: this.commands.length + 1, timeMs: EPOCH_MS + this.#nowMs };
    this.commands.push(recordOf(at, { subject, name, data, id }));
  }
}
