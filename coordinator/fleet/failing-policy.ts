/**
 * When a host is to blame for the failures of tasks, and not what they measure. Pure.
 *
 *   ends of attempts there -> tasks that failed in a row -> k different ones -> do others pass? -> cordon
 *
 * 1. A task that passes there begins the row anew. So does an uncordon: whoever says it has looked.
 * 2. An end that tells nothing of the host neither counts nor begins anew: stopped, paused, given back,
 *    skipped, lost with its host, cut off, or ended because another rank of its gang had ended.
 * 3. Witnesses are other agents that may be given work now, by what has ended there of the same runs and with
 *    the same needs: a suite that fails on every GPU says nothing of the hosts that have GPUs. One that has passed
 *    a task since the row began speaks against the host, one on which the newest has failed speaks for it. One
 *    that has passed some, but on which half as many as in the row have failed in a row too, says nothing: tasks
 *    that fail everywhere come together, and one host is the last that has to do with them.
 * 4. The host is to blame where more speak against it than for it. So nobody is where tasks fail everywhere, nor
 *    where nobody else ran them; and the last agent that takes work keeps it.
 */
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { FailureClass } from '#protocol/messages/attempt/outcome.ts';

/** Different tasks in a row, where nothing else is said. */
export const CORDON_AFTER = 5;
/** The most that can be asked for: so many are kept. */
export const CORDON_AFTER_MOST = 100;

export interface FailedTask {
  readonly run: string;
  readonly task: string;
  /** Which of the needs of its run it has. */
  readonly needs: number;
  readonly class: FailureClass | null;
  /** Of its end in BM_EVENTS. */
  readonly sequence: number;
}

const NOT_OF_THE_HOST: ReadonlySet<FailureClass> = new Set([
  'drained',
  'paused',
  'gang',
  'partition',
  'lost',
]);

/** Null: it tells nothing of the host (2). */
export function saysOfHost({
  outcome,
  class: failure,
}: Pick<AttemptExited, 'outcome' | 'class'>): 'passed' | 'failed' | null {
  if (outcome === 'passed') return 'passed';
  if (outcome !== 'failed' && outcome !== 'timed_out') return null;
  return failure !== null && NOT_OF_THE_HOST.has(failure) ? null : 'failed';
}

/** A task that fails once more is still one: its newest end counts. */
export function withFailure(row: readonly FailedTask[], failed: FailedTask): FailedTask[] {
  const others = row.filter(({ run, task }) => run !== failed.run || task !== failed.task);
  return [...others.slice(1 - CORDON_AFTER_MOST), failed];
}

/** More of an agent's ends than a row can be long, by half. */
const RECENT_MOST = 64;

/** The newest ends of tasks with the same needs on one agent: their sequences, oldest first; negative: it failed. */
export type EndsThere = number[];

export function addEnd(ends: EndsThere, said: 'passed' | 'failed', sequence: number): void {
  ends.push(said === 'passed' ? sequence : -sequence);
  if (ends.length > RECENT_MOST) ends.shift();
}

export interface Witnesses {
  readonly passing: readonly string[];
  readonly failing: readonly string[];
}

/** Since the row began; `ends`: of other agents that may be given work, once for each of the row's needs. */
export function witnessesOf(
  row: readonly FailedTask[],
  ends: Iterable<readonly [agent: string, ends: EndsThere]>,
): Witnesses {
  const sinceSequence = row[0]?.sequence ?? Infinity;
  const hasPassed = new Map<string, boolean>();
  const saysNothing = new Set<string>();
  for (const [agent, all] of ends) {
    const since = all.filter((end) => Math.abs(end) > sinceSequence);
    if (since.some((end) => end > 0)) {
      if (2 * failuresInARow(since) >= row.length) saysNothing.add(agent);
      hasPassed.set(agent, true);
    } else if ((all.at(-1) ?? 0) < 0 && !hasPassed.has(agent)) hasPassed.set(agent, false);
  }
  for (const agent of saysNothing) hasPassed.delete(agent);
  const agents = [...hasPassed.keys()].sort();
  return {
    passing: agents.filter((agent) => hasPassed.get(agent) === true),
    failing: agents.filter((agent) => hasPassed.get(agent) === false),
  };
}

/** The most that came after each other. */
function failuresInARow(ends: EndsThere): number {
  let most = 0;
  let now = 0;
  for (const end of ends) {
    now = end < 0 ? now + 1 : 0;
    most = Math.max(most, now);
  }
  return most;
}

export function isToBlame({ passing, failing }: Witnesses): boolean {
  return passing.length > failing.length;
}

const NAMED_MOST = 5;

/** For people: which tasks, and who passed others meanwhile. */
export function blameText(row: readonly FailedTask[], { passing }: Witnesses): string {
  const byRun = new Map<string, string[]>();
  for (const { run, task, class: failure } of row.slice(-NAMED_MOST))
    byRun.set(run, [...(byRun.get(run) ?? []), failure === null ? task : `${task} (${failure})`]);
  const named = Array.from(byRun, ([run, tasks]) => `${tasks.join(', ')} of run ${run}`);
  const more = row.length - NAMED_MOST;
  const rest = more > 0 ? ` and ${more} more` : '';
  const others = [passing.slice(0, NAMED_MOST).join(', ')];
  if (passing.length > NAMED_MOST) others.push(`${passing.length - NAMED_MOST} more`);
  return `${row.length} different tasks in a row failed there: ${named.join('; ')}${rest}; ${others.join(' and ')} passed others like them meanwhile`;
}
