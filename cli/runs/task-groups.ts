/** Tasks of a run counted by what they have in common: what fails, where, and how often it was tried. Pure. */
import type { TaskView } from '#protocol/fold/task-view.ts';
import { MeshError } from '#protocol/messages/errors.ts';

export interface TaskGroup {
  /** What its tasks have in common, in the order asked for; null where a task has no such thing. */
  readonly by: Readonly<Record<string, string | null>>;
  readonly tasks: number;
  readonly ended: number;
  readonly passed: number;
  /** Ended, and neither passed nor stopped nor skipped. */
  readonly failed: number;
  /** Attempts of a task in the mean. */
  readonly meanAttempts: number;
  /** Of those that have ended, in the mean; null for none. */
  readonly meanElapsedMs: number | null;
  /** The first of them in the order of the matrix. */
  readonly first: string;
}

type KeyOf = (task: TaskView) => string | null;

const WORDS: Readonly<Record<string, KeyOf>> = {
  state: ({ state }) => state,
  outcome: ({ outcome }) => outcome,
  stage: ({ stage }) => stage,
  class: (task) => task.class,
  reason: ({ message }) => message,
  agent: ({ agent }) => agent,
};
const AXIS = 'axis:';
const NO_FAILURES = new Set(['passed', 'stopped', 'skipped']);

/** The largest first. Throws `usage` on a name that is neither a word nor an axis. */
export function groupTasks(tasks: readonly TaskView[], names: readonly string[]): TaskGroup[] {
  const keys = names.map((name) => ({ name, keyOf: keyOf(name, tasks) }));
  const groups = new Map<string, { by: TaskGroup['by']; members: TaskView[] }>();
  for (const task of tasks) {
    const by = Object.fromEntries(keys.map(({ name, keyOf: of }) => [name, of(task)]));
    const key = JSON.stringify(by);
    const group = groups.get(key) ?? { by, members: [] };
    group.members.push(task);
    groups.set(key, group);
  }
  return Array.from(groups.values(), ({ by, members }) => groupOf(by, members)).sort(
    (a, b) => b.tasks - a.tasks,
  );
}

/** An axis may be called as a word is: `axis:stage` is the axis. */
function keyOf(name: string, tasks: readonly TaskView[]): KeyOf {
  const word = WORDS[name];
  if (word !== undefined) return word;
  const axis = name.startsWith(AXIS) ? name.slice(AXIS.length) : name;
  if (!tasks.some(({ axes }) => Object.hasOwn(axes, axis))) {
    const axes = [...new Set(tasks.flatMap((task) => Object.keys(task.axes)))];
    const known = [...Object.keys(WORDS), ...axes].join(', ');
    throw new MeshError('usage', `--group-by ${name}: no such thing; there is ${known}`);
  }
  return ({ axes }) => {
    const value = axes[axis];
    return value === undefined ? null : String(value);
  };
}

function groupOf(by: TaskGroup['by'], members: readonly TaskView[]): TaskGroup {
  const ended = members.filter(({ state }) => state === 'ended');
  const count = (has: (outcome: string) => boolean): number =>
    ended.filter(({ outcome }) => outcome !== null && has(outcome)).length;
  return {
    by,
    tasks: members.length,
    ended: ended.length,
    passed: count((outcome) => outcome === 'passed'),
    failed: count((outcome) => !NO_FAILURES.has(outcome)),
    meanAttempts: mean(members.map(({ attempts }) => attempts)),
    meanElapsedMs: ended.length === 0 ? null : mean(ended.map(({ elapsedMs }) => elapsedMs)),
    first: members[0]?.id ?? '',
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
