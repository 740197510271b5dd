/** What an operator is told of a stop. Pure. */
import { pauseOf, type Pauses } from '#protocol/fold/pauses.ts';
import type { AgentStopView, StopView, StopVerdict } from '#protocol/fold/stop-fold.ts';
import type { StoppedAttempt } from '#protocol/messages/agent/host.ts';
import { EXIT, type ExitStatus } from '#protocol/messages/errors.ts';
import { duration, plural } from '../output/format.ts';

/** `agent local-1: 1 attempt, 14 processes, TERM, gone in 31 ms, proof subreaper`. */
export function ackLine(agent: AgentStopView): string {
  const { attempts } = agent;
  const earlier =
    agent.unproven.length === 0
      ? ''
      : agent.forgotten
        ? `, ${plural(agent.unproven.length, 'attempt')} given up with it: it was forgotten`
        : `, ${plural(agent.unproven.length, 'earlier attempt')} ended unproven`;
  if (attempts.length === 0) return `agent ${agent.agent}: nothing to stop${earlier}`;
  const sum = (of: (attempt: StoppedAttempt) => number): number =>
    attempts.reduce((total, attempt) => total + of(attempt), 0);
  const signals = unique(attempts.map((attempt) => attempt.signal?.replace(/^SIG/, '') ?? null));
  const survivors = attempts.flatMap((attempt) => attempt.survivors);
  const parts = [
    plural(attempts.length, 'attempt'),
    plural(
      sum((attempt) => attempt.processes),
      'process',
    ),
    ...(signals.length === 0 ? [] : [signals.join('+')]),
    survivors.length === 0
      ? `gone in ${duration(Math.max(...attempts.map((attempt) => attempt.goneMs)))}`
      : `${plural(survivors.length, 'survivor')} that cannot be killed: ${survivors.slice(0, 5).join(', ')}`,
    `proof ${unique(attempts.map((attempt) => attempt.proof)).join('+')}`,
    ...(attempts.every((attempt) => attempt.proven) ? [] : ['unproven']),
  ];
  return `agent ${agent.agent}: ${parts.join(', ')}${earlier}`;
}

/** It had nothing of the target, and was not waited for. */
export function isIdle({ attempts, unproven }: AgentStopView): boolean {
  return attempts.length === 0 && unproven.length === 0;
}

/** Those that had nothing of the target in one line, however many they are; null where there are none. */
export function idleLine({ agents }: StopView): string | null {
  const idle = agents.filter((one) => one.done && isIdle(one)).length;
  return idle === 0 ? null : `${plural(idle, 'agent')} had nothing to stop`;
}

/** `agent local-1: still open, 2 attempts without a proven end, not heard of`. */
export function openLine(agent: AgentStopView, silent: boolean): string {
  const parts = [
    'still open',
    ...(agent.owed > 0 ? [`${plural(agent.owed, 'attempt')} without a proven end`] : []),
    agent.received ? 'stop received' : 'stop not received',
    ...(silent ? ['unreachable: it obeys when it returns'] : []),
  ];
  return `agent ${agent.agent}: ${parts.join(', ')}`;
}

/** 0 only for a proven death. */
export function exitOf(verdict: StopVerdict): ExitStatus {
  return verdict === 'dead' ? EXIT.ok : EXIT.stopOpen;
}

/** What the operator has asked for. */
export type StopVerb = 'stop' | 'pause' | 'requeue';

const DONE: Readonly<Record<StopVerb, string>> = {
  stop: 'stopped',
  pause: 'paused',
  requeue: 'requeued',
};

export function verdictLine(view: StopView, target: string, verb: StopVerb = 'stop'): string {
  const done = DONE[verb];
  switch (view.verdict) {
    case 'dead':
      return `${target} is ${done}: zero survivors, proven`;
    case 'unproven':
      return `${target} is ${done}, but its end is unproven: ${whyUnproven(view)}`;
    case 'unkillable':
      return `${target} is not dead: a process cannot be killed; its slots stay fenced`;
    case 'open': {
      const agents = view.agents.filter((agent) => agent.open).length;
      return `the ${verb} of ${target} is still open on ${plural(agents, 'agent')}: it stays stored and is obeyed`;
    }
  }
}

/** More agents than these are only counted. */
const MOST_AGENTS = 5;

/** What nobody can vouch for, and who had it: `agent a was forgotten: what it ran (r/t#1) may live on`. */
function whyUnproven({ agents }: StopView): string {
  const causes = agents.flatMap((agent) => causesOf(agent));
  const more = causes.length - MOST_AGENTS;
  return [...causes.slice(0, MOST_AGENTS), ...(more > 0 ? [`${more} more like that`] : [])].join(
    '; ',
  );
}

function causesOf({ agent, attempts, unproven, forgotten }: AgentStopView): string[] {
  const rungs = unique(attempts.map(({ proven, proof }) => (proven ? null : proof)));
  const some = unproven.slice(0, 3).join(', ') + (unproven.length > 3 ? ', ...' : '');
  const earlier = forgotten
    ? `agent ${agent} was forgotten: processes of ${some} may live on there`
    : `${plural(unproven.length, 'earlier attempt')} of agent ${agent} ended unproven (${some})`;
  return [
    ...(rungs.length === 0
      ? []
      : [`agent ${agent} cannot prove that nothing is left (proof ${rungs.join('+')})`]),
    ...(unproven.length === 0 ? [] : [earlier]),
  ];
}

export interface StaysPaused {
  readonly by: string;
  /** The pause is of the run as a whole. */
  readonly whole: boolean;
}

/** Who holds a task that is to be tried again; null for nobody: its next attempt follows. */
export function staysPaused(pauses: Pauses, task: string): StaysPaused | null {
  const pause = pauseOf(pauses, task);
  return pause === null ? null : { by: pause.by, whole: pause.task === null };
}

export function staysPausedLine(
  { by, whole }: StaysPaused,
  { run, task }: { readonly run: string; readonly task: string },
): string {
  const held = whole ? run : `${run}/${task}`;
  return `${whole ? 'its run' : 'it'} is paused by ${by}, and it waits: benchmesh resume ${held} lets it go on`;
}

function unique<T>(values: readonly (T | null)[]): T[] {
  return [...new Set(values.filter((value) => value !== null))];
}
