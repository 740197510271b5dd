/**
 * What must hold after each step, whatever happened: of every message as it is stored, and of every
 * process as it begins or ends. It knows what is true: the processes there are, and the streams.
 */
import type { CoreState } from '#coordinator/core/core-state.ts';
import { acceptanceIn } from '#protocol/fold/attempt-fold.ts';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { decode, type Message } from '#protocol/messages/envelope.ts';
import type { GivenStart } from '#protocol/messages/run/command.ts';
import { startsIn } from '#protocol/messages/run/starts.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { HEADERS } from '#protocol/nats/headers.ts';
import { budgetStopId } from '#coordinator/runs/run-reducer.ts';
import { attemptOf, GangChecks, rankKey } from './gang-checks.ts';
import { earlyBudgetEnd } from './budget-checks.ts';
import { GivenBackChecks } from './given-back-checks.ts';
import { HeldChecks } from './held-checks.ts';
import { LockChecks } from './lock-checks.ts';
import { PauseChecks } from './pause-checks.ts';
import { PreemptChecks } from './preempt-checks.ts';
import { ProcessChecks } from './process-checks.ts';
import { RetryChecks } from './retry-checks.ts';
import { checkRemoved } from './revoke-checks.ts';
import type { Start, StopSeen } from './seen.ts';
import type { SimServer, Stored } from '../world/server.ts';
import { checkStartsRemoved } from './start-checks.ts';
import { usageProblems } from './usage-checks.ts';

const RANK = { submitted: 0, running: 1, paused: 1, stopping: 2, ended: 3 };
const ATTEMPT_OVER: ReadonlySet<string> = new Set([
  'attempt.collected',
  'attempt.file_stored',
  'attempt.checkpointed',
  'attempt.released',
  'attempt.survivors_gone',
]);

interface RunSeen {
  readonly fold: RunFold;
  readonly suite: SuiteSpec;
  rank: number;
  /** Its directory is there: what agents still say of it is swept away (I12). */
  isArchived: boolean;
  readonly ended: Map<string, string>;
  /** Started and not exited, by key. */
  readonly open: Set<string>;
  readonly exits: Map<string, string>;
}

export class Checks {
  readonly violations: string[] = [];
  readonly runs = new Map<string, RunSeen>();
  readonly starts = new Map<string, Start>();
  readonly stops = new Map<string, StopSeen>();
  /** Attempts that were given up, by key, with their agents: stored, for these to be ended. */
  readonly revoked = new Map<string, string>();
  readonly processes: ProcessChecks;
  readonly givenBack: GivenBackChecks;
  readonly preempted: PreemptChecks;
  readonly retries: RetryChecks;
  readonly #held: HeldChecks;
  readonly #pauses: PauseChecks;
  readonly #locks: LockChecks;
  readonly #gangs: GangChecks;
  /** Attempts of which a start is stored, of a gang of any rank. */
  readonly #started = new Set<string>();
  readonly #server: SimServer;
  readonly #claims = new Map<string, string>();
  readonly #numbers = new Map<string, number>();
  /** What was said of agents so far: who begins to fold a run reads it too. */
  readonly #fleet: EventRecord[] = [];
  compared = 0;
  stored = 0;

  constructor(server: SimServer) {
    const { starts, revoked } = this;
    const note = (text: string): void => {
      this.note(text);
    };
    this.#gangs = new GangChecks({ note, starts, revoked });
    this.processes = new ProcessChecks({ starts, revoked, note, gangs: this.#gangs });
    this.givenBack = new GivenBackChecks({ note, revoked });
    const suiteOf = (run: string): SuiteSpec | undefined => this.runs.get(run)?.suite;
    this.preempted = new PreemptChecks({ note, starts, suiteOf });
    this.#held = new HeldChecks({ note, isStarted: (key) => this.#started.has(key) });
    this.#pauses = new PauseChecks(note);
    this.#locks = new LockChecks({ note, starts });
    const { givenBack } = this;
    this.retries = new RetryChecks({ note, revoked, givenBack, gangs: this.#gangs });
    this.#server = server;
    server.commands.onRemoved = (removed) => {
      checkRemoved(removed, { server, note, gangs: this.#gangs, processes: this.processes });
      const { runs } = this;
      checkStartsRemoved(removed, { runs, starts, revoked, gangs: this.#gangs, note });
    };
  }

  note(text: string): void {
    this.violations.push(text);
  }

  onStored(stored: Stored): Message | null {
    this.stored += 1;
    const decoded = decode(stored.data);
    if (decoded.kind !== 'ok') {
      this.note(`what is stored on ${stored.subject} cannot be read: ${decoded.reason}`);
      return null;
    }
    const { message } = decoded;
    this.#checkWriter(stored);
    if (stored.stream === 'BM_COMMANDS') this.#onCommand(stored, message);
    else this.#onEvent(stored, message);
    return message;
  }

  /** One writer for each subject, in its own order; nothing of a leader that was deposed (I1). */
  #checkWriter(stored: Stored): void {
    const { subject, by, headers, stream } = stored;
    const writer = by.slice(0, by.lastIndexOf('.'));
    const parsed = parseSubject(subject);
    if (parsed === null) {
      this.note(`I1: ${subject} is nobody's`);
      return;
    }
    const isOfAgent = parsed.kind === 'attempt' || parsed.kind === 'host' || parsed.kind === 'ack';
    if (isOfAgent) {
      if (writer !== parsed.agent) this.note(`I1: ${by} writes on ${subject}`);
      this.#checkNumber(stored);
      return;
    }
    if (parsed.kind === 'event_epoch' || parsed.kind === 'command_epoch') {
      this.#claims.set(stream, headers[HEADERS.instance] ?? '');
      return;
    }
    if (parsed.kind === 'stop' && by === 'operator') return;
    if (!writer.startsWith('c')) this.note(`I1: ${by} writes on ${subject}`);
    if (headers[HEADERS.instance] !== this.#claims.get(stream))
      this.note(`I1: ${by} writes on ${subject} although another leads`);
  }

  #checkNumber({ subject, headers, by }: Stored): void {
    const number = Number(headers[HEADERS.seq]);
    const before = this.#numbers.get(subject) ?? 0;
    this.#numbers.set(subject, number);
    // After a purge a subject begins where it begins.
    const isFirst = this.#server.events.countOf(subject) === 1;
    if (number !== before + 1 && !isFirst)
      this.note(`I1: ${by} stores number ${number} on ${subject} after ${before}`);
  }

  #onStart({ sequence, subject, timeMs }: Stored, { id, spec, afterStop }: GivenStart): void {
    const parsed = parseSubject(subject);
    const attempt = `${spec.run}/${spec.task}#${spec.n}`;
    const agent = parsed?.kind === 'command' ? parsed.agent : '';
    const key = spec.gang === undefined ? attempt : rankKey(attempt, agent);
    const known = this.starts.get(key);
    // Stored twice in doubt: its agent knows it by its id.
    if (known?.command === id && known.agent === agent) return;
    if (known !== undefined)
      this.note(`I4: ${key} is started again, on ${agent} after ${known.agent}`);
    this.starts.set(key, { command: id, agent, spec, sequence, afterStop });
    this.#started.add(attempt);
    if (spec.gang !== undefined) this.#gangs.onStart(attempt, agent, spec.gang);
    this.#held.onStart(attempt, timeMs, spec);
    this.#pauses.onStart(key, spec, afterStop);
    if (spec.gang === undefined) this.givenBack.onStart(attempt);
    const run = this.runs.get(spec.run);
    if (run === undefined) return;
    run.open.add(key);
    if (run.exits.has(key)) run.open.delete(key);
    else this.#locks.onStart(key);
    const { maxParallel } = run.suite;
    const open = new Set([...run.open].map(attemptOf)).size;
    if (maxParallel !== null && open > maxParallel)
      this.note(`${open} attempts of ${spec.run} at once, ${maxParallel} are allowed`);
    if (run.ended.has(spec.task)) this.note(`I3: ${key} starts although its task has ended`);
  }

  #onCommand(stored: Stored, message: Message): void {
    const { sequence, subject, timeMs } = stored;
    for (const start of startsIn(message)) this.#onStart(stored, start);
    if (message.name === 'command.revoke') {
      const { run, task, n, superseded, gang } = message.data;
      const agent = subject.split('.')[3] ?? '';
      if (superseded !== true && gang === undefined) this.givenBack.onRevoke(`${run}/${task}#${n}`);
      const key = this.#gangs.keyOf(`${run}/${task}#${n}`, agent);
      if (superseded === true) this.revoked.set(key, agent);
    }
    if (message.name === 'command.go') {
      const { run, task, n, barrier, over } = message.data;
      if (over === undefined) this.#gangs.onOpened(`${run}/${task}#${n}`, barrier);
    }
    if (message.name === 'command.peers') {
      const { run, task, n, epoch, peers } = message.data;
      this.#gangs.onPeers(`${run}/${task}#${n}`, epoch, peers);
    }
    if (message.name === 'command.stop') {
      this.preempted.onStop(message.id, message.data);
      const { run, task, pause: isPause = false } = message.data;
      // The operator repeats in doubt: the first counts.
      if (this.stops.has(message.id)) return;
      const stop = { command: message.id, run, task, sequence, isPause };
      this.stops.set(message.id, stop);
      this.#pauses.onStop(stop, message.data);
      if (message.id === budgetStopId(run)) this.#onBudgetEnd(run, timeMs);
    }
  }

  #onEvent(stored: Stored, message: Message): void {
    const { subject, sequence, timeMs } = stored;
    const parsed = parseSubject(subject);
    if (parsed === null) return;
    const record = { subject, sequence, timeMs, message };
    if (parsed.kind === 'ack' && message.name === 'command.stop_done') {
      const stop = this.stops.get(parsed.command);
      if (stop !== undefined) this.processes.onStopDone(parsed.agent, stop, message.data.attempts);
      return;
    }
    if (parsed.kind === 'ack' && message.name === 'command.revoke_answered') {
      const { run, task, n, stopped } = message.data;
      const key = this.#gangs.keyOf(`${run}/${task}#${n}`, parsed.agent);
      this.processes.onRevoked(parsed.agent, key, stopped?.survivors ?? []);
      return;
    }
    const id =
      parsed.kind === 'run' || parsed.kind === 'task'
        ? parsed.run
        : parsed.kind === 'attempt'
          ? parsed.ref.run
          : null;
    if (parsed.kind === 'fleet') this.#fleet.push(record);
    if (message.name === 'agent.unreachable' && parsed.kind === 'fleet')
      this.#locks.onLost(parsed.agent);
    if (parsed.kind === 'fleet') for (const run of this.runs.values()) applyToRun(run.fold, record);
    if (id === null) return;
    if (message.name === 'run.submitted') this.#onSubmitted(id, message.data.suite);
    const run = this.runs.get(id);
    if (run === undefined) return;
    this.#held.onWithdrawn(run.fold, message);
    if (message.name === 'run.resumed') this.#pauses.onResumed(id, message.data);
    if (message.name === 'run.budget_used') this.#onBudgetEnd(id, timeMs);
    this.#fold(id, run, record);
    if (message.name === 'run.ended') this.#locks.onRunEnded(id);
    if (message.name === 'run.archived') run.isArchived = true;
    if (parsed.kind === 'attempt' && !run.isArchived) {
      const attempt = `${id}/${parsed.ref.task}#${parsed.ref.n}`;
      this.#onAttempt(run, this.#gangs.keyOf(attempt, parsed.agent), message);
      this.#gangs.onEvent(attempt, parsed.agent, message);
    }
    if (message.name === 'task.rank_lost' && parsed.kind === 'task') {
      const { n, rank, agent } = message.data;
      const attempt = `${id}/${parsed.task}#${n}`;
      this.#gangs.onRankLost(attempt, rank, agent);
      this.#leave(run, rankKey(attempt, agent));
    }
    if (message.name === 'task.rank_replaced' && parsed.kind === 'task')
      this.retries.onReplaced(run, parsed.task);
    if (parsed.kind === 'task') this.#gangs.onSaid(`${id}/${parsed.task}`, message);
    if (message.name === 'task.ended' && parsed.kind === 'task') {
      const { n, without = [] } = message.data;
      const attempt = `${id}/${parsed.task}#${n ?? 0}`;
      this.#gangs.onFollowed(attempt, this.processes.proven(), without);
      if (message.data.outcome === 'passed') this.#gangs.onPassed(attempt);
      this.#onTaskEnded(run, parsed.task, message.data.outcome);
    }
    if (message.name === 'run.tasks_ended')
      for (const task of message.data.tasks) this.#onTaskEnded(run, task, message.data.outcome);
    if (message.name === 'task.retrying' && parsed.kind === 'task') {
      const { n, delayMs = 0, without = [], needs } = message.data;
      this.#gangs.onFollowed(`${id}/${parsed.task}#${n}`, this.processes.proven(), without);
      this.#held.onRetry(`${id}/${parsed.task}#${n + 1}`, timeMs + delayMs, needs);
      for (const left of this.retries.onRetry(run, parsed.task, message.data, message.id))
        this.#leave(run, left);
    }
    if (
      message.name === 'run.ended' &&
      run.ended.size !== run.fold.tasks.size &&
      (run.fold.cycles !== null || run.ended.size < taskCount(run))
    )
      this.note(`I4: ${id} ends with ${run.ended.size} of ${taskCount(run)} tasks`);
    if (message.name === 'run.stop_closed' && message.data.result === 'dead') {
      const stop = this.stops.get(message.data.command);
      if (stop !== undefined) this.processes.onStopClosed(stop);
    }
  }

  #onSubmitted(id: string, suite: SuiteSpec): void {
    if (this.runs.has(id)) {
      this.note(`I4: ${id} is submitted twice`);
      return;
    }
    this.#locks.onSubmitted(suite);
    const fold = createRunFold(id);
    for (const record of this.#fleet) applyToRun(fold, record);
    this.runs.set(id, {
      fold,
      suite,
      rank: 0,
      isArchived: false,
      ended: new Map(),
      open: new Set(),
      exits: new Map(),
    });
  }

  #onBudgetEnd(id: string, timeMs: number): void {
    const run = this.runs.get(id);
    const missingMs = run === undefined ? null : earlyBudgetEnd(run.fold, run.suite, timeMs);
    if (missingMs !== null) this.note(`${id} is over its budget ${missingMs} ms too early`);
  }

  #fold(id: string, run: RunSeen, record: Parameters<typeof applyToRun>[1]): void {
    applyToRun(run.fold, record);
    const rank = RANK[run.fold.state];
    if (rank < run.rank) this.note(`I3: ${id} goes back to ${run.fold.state}`);
    run.rank = rank;
  }

  #onAttempt(run: RunSeen, key: string, message: Message): void {
    if (run.exits.has(key) && !ATTEMPT_OVER.has(message.name))
      this.note(`I3: ${key} says ${message.name} after its end`);
    if (acceptanceIn(message) !== null && !this.starts.has(key))
      this.note(`${key} was accepted, and never started`);
    if (message.name === 'attempt.survivors_gone') {
      this.#locks.onFreed(key);
      this.processes.onSurvivorsGone(key);
    }
    if (message.name === 'attempt.step_started') this.givenBack.onBegun(key);
    if (message.name !== 'attempt.exited') return;
    this.givenBack.onExited(key, message.data);
    const { outcome, class: failure, survivors } = message.data;
    run.exits.set(key, failure === null ? outcome : `${outcome} ${failure}`);
    run.open.delete(key);
    if (survivors.length === 0) this.#locks.onFreed(key);
    else this.#locks.onSurvived(key);
    this.processes.onExited(key, message.data);
  }

  #onTaskEnded(run: RunSeen, task: string, outcome: string): void {
    const before = run.ended.get(task);
    if (before !== undefined)
      this.note(`I4: ${run.fold.run}/${task} ends as ${outcome} after ${before}`);
    run.ended.set(task, outcome);
    for (const key of run.open) {
      if (!key.startsWith(`${run.fold.run}/${task}#`)) continue;
      if (this.revoked.has(key)) this.#leave(run, key);
      else this.note(`I4: ${key} is open, and its task has ended as ${outcome}`);
    }
  }

  /** Its task goes on without it: it holds no place, and no lock. */
  #leave(run: RunSeen, key: string): void {
    run.open.delete(key);
    this.#locks.onFreed(key);
  }

  checkUsage(state: CoreState): void {
    const { starts } = this;
    for (const problem of usageProblems(state, starts)) this.note(problem);
  }

  /** What the leader shows is the fold of the log (I2). */
  compare(run: string, state: CoreState): void {
    const own = state.runs.get(run)?.fold;
    const known = this.runs.get(run);
    // Of one that is being purged a new leader reads what is left.
    const seen = known?.isArchived === true ? undefined : known?.fold;
    if (own === undefined || seen === undefined || own.sequence !== seen.sequence) return;
    this.compared += 1;
    if (canonicalJson(runView(own)) !== canonicalJson(runView(seen)))
      this.note(`I2: the leader's view of ${run} is not the log's`);
  }
}

function taskCount({ suite }: RunSeen): number {
  return Object.values(suite.axes).reduce((count, values) => count * values.length, 1);
}
