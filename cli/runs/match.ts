/** What people may write for a run or a task: the id, a unique part of it, or `latest`. Pure. */
import { MeshError } from '#protocol/messages/errors.ts';

/** RUN: an id, a unique beginning or end of one, or `latest`. Throws `not_found` or `usage`. */
export function matchRun(text: string, ids: readonly string[]): string {
  if (ids.includes(text)) return text;
  if (text === 'latest') {
    const latest = [...ids].sort().at(-1);
    if (latest === undefined) throw new MeshError('not_found', 'there is no run yet');
    return latest;
  }
  const matches = ids.filter((id) => id.startsWith(text) || id.endsWith(text));
  return onlyOne(matches, text, 'run');
}

/** TASK: an id or a unique beginning of one. */
export function matchTask(text: string, ids: Iterable<string>): string {
  const matches: string[] = [];
  for (const id of ids) {
    if (id === text) return id;
    if (id.startsWith(text)) matches.push(id);
  }
  return onlyOne(matches, text, 'task');
}

function onlyOne(matches: readonly string[], text: string, noun: string): string {
  const [first, second] = matches;
  if (first === undefined || text === '')
    throw new MeshError('not_found', `there is no ${noun} "${text}"`);
  if (second === undefined) return first;
  const some = matches.slice(0, 3).join(', ');
  throw new MeshError(
    'usage',
    `"${text}" is ${matches.length} ${noun}s (${some}${matches.length > 3 ? ', ...' : ''}): write more of the id`,
  );
}

export interface Target {
  readonly run: string;
  readonly task: string | null;
  readonly n: number | null;
  /** Of a gang; no part of the text. */
  readonly rank?: number | undefined;
}

/** `RUN`, `RUN/TASK` or `RUN/TASK/N`. */
export function parseTarget(text: string): Target {
  const [run = '', task, n, ...more] = text.split('/');
  const isNumber = n === undefined || /^[1-9]\d{0,8}$/.test(n);
  if (run === '' || task === '' || !isNumber || more.length > 0) {
    throw new MeshError('usage', `"${text}" is no RUN, RUN/TASK or RUN/TASK/N`);
  }
  return { run, task: task ?? null, n: n === undefined ? null : Number(n) };
}
