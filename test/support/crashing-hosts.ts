/**
 * Hosts with real agents that crash: kill -9 of the agent alone, whose attempts go on, or of all that runs
 * there, and a start again on the same state; and a look at what the event log says of a run that met it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { attemptProcesses } from '#cli/mesh/local-steps.ts';
import { programFile } from '#cli/mesh/programs.ts';
import { acceptanceIn } from '#protocol/fold/attempt-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { isRunning, parentOf } from './processes.ts';
import { until } from './until.ts';

const OTHER_HOST = resolve('test/fixtures/other-host.mjs');

interface CrashingHostOptions {
  readonly id: string;
  /** Its state is a folder in here. */
  readonly folder: string;
  readonly url: string;
  readonly credentialFile: string;
  readonly slots: number;
}

export class CrashingHost {
  readonly #options: CrashingHostOptions;
  readonly #state: string;
  #agent: ChildProcess | null = null;

  constructor(options: CrashingHostOptions) {
    this.#options = options;
    this.#state = join(options.folder, options.id);
  }

  isUp(): boolean {
    return this.#agent !== null;
  }

  start(): void {
    const { id, url, credentialFile, slots } = this.#options;
    const flags = [
      ...['--id', id, '--state', this.#state, '--server', url, '--credential', credentialFile],
      ...['--slots', String(slots), '--label', 'real=yes'],
    ];
    this.#agent = spawn(
      process.execPath,
      [`--import=${OTHER_HOST}`, programFile('agent'), ...flags],
      { stdio: 'ignore', env: { ...process.env, OTHER_HOST: `host-${id}` } },
    );
  }

  /** Of the agent alone, or of the host: then nothing that ran there has a last word. */
  async crash(what: 'agent' | 'host'): Promise<void> {
    const agent = this.#agent;
    this.#agent = null;
    if (agent !== null) {
      const gone = new Promise((settle) => agent.once('exit', settle));
      agent.kill('SIGKILL');
      await gone;
    }
    if (what === 'agent') return;
    // All stand still before the first dies: what waits for another must not tell of its death.
    const stopped = new Set<number>();
    for (;;) {
      const fresh = this.#processes().filter((pid) => !stopped.has(pid));
      if (fresh.length === 0) break;
      for (const pid of fresh) {
        stopped.add(pid);
        signal(pid, 'SIGSTOP');
      }
    }
    for (const pid of stopped) signal(pid, 'SIGKILL');
    await until(() => ![...stopped].some(isRunning), 'the processes of the host to be gone');
  }

  /** Of attempts, the helpers above them first: these have neither the environment nor the folder. */
  #processes(): number[] {
    const own = attemptProcesses(this.#state);
    const helpers = own.map(parentOf).filter((pid) => nameOf(pid).startsWith('meshrun'));
    return [...new Set([...helpers, ...own])];
  }

  close(): Promise<void> {
    return this.crash('host');
  }
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8');
  } catch {
    return ''; // gone in between
  }
}

function signal(pid: number, name: 'SIGSTOP' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // gone in between
  }
}

/** What the log says of one task. */
interface TaskStory {
  /** Attempts that an agent accepted. */
  readonly begun: Set<number>;
  /** Attempts that have exited, with their class. */
  readonly exited: Map<number, string | null>;
  /** Attempts that were given up while their host was lost. */
  readonly superseded: Set<number>;
  /** Further attempts by the class of the failure before them. */
  readonly retries: Record<string, number>;
  /** The attempt that may run now. */
  current: number;
  /** Its end, and the class of that where it has one. */
  end: { readonly outcome: string; readonly class: string | null } | null;
}

/**
 * Follows the records of a run in stream order. Throws where a task ends twice (I4), where an attempt begins before
 * the one before it was over or given up, where one exits twice, or is tried again for another reason than it ended.
 */
export function storiesOf(records: readonly EventRecord[]): Map<string, TaskStory> {
  const stories = new Map<string, TaskStory>();
  for (const record of records) {
    const parsed = parseSubject(record.subject);
    const { message } = record;
    if (message.name === 'run.tasks_ended')
      for (const task of message.data.tasks)
        end(storyOf(stories, task), task, { outcome: message.data.outcome, class: null });
    if (parsed?.kind === 'task') onTask(storyOf(stories, parsed.task), parsed.task, record);
    if (parsed?.kind === 'attempt')
      onAttempt(storyOf(stories, parsed.ref.task), parsed.ref, record);
  }
  return stories;
}

function onTask(story: TaskStory, task: string, { message }: EventRecord): void {
  if (message.name === 'task.ended') end(story, task, message.data);
  if (message.name !== 'task.retrying') return;
  const { n, class: kind, superseded } = message.data;
  const found = story.exited.get(n);
  if (story.end !== null) throw new Error(`${task} is tried again after its end`);
  if (n !== story.current) throw new Error(`${task}: after ${n}, but ${story.current} is current`);
  if (superseded === true) story.superseded.add(n);
  else if (found !== kind)
    throw new Error(`${task}#${n} is tried again as ${kind}, it had exited as ${String(found)}`);
  story.retries[kind] = (story.retries[kind] ?? 0) + 1;
  story.current += 1;
}

function onAttempt(
  story: TaskStory,
  { task, n }: { readonly task: string; readonly n: number },
  { message }: EventRecord,
): void {
  if (n > story.current)
    throw new Error(`${task}#${n} says something, ${story.current} is current`);
  if (acceptanceIn(message) !== null) {
    if (story.begun.has(n)) throw new Error(`${task}#${n} was accepted twice`);
    story.begun.add(n);
  }
  if (message.name !== 'attempt.exited') return;
  if (story.exited.has(n)) throw new Error(`${task}#${n} exited twice`);
  story.exited.set(n, message.data.class);
}

function end(story: TaskStory, task: string, how: NonNullable<TaskStory['end']>): void {
  if (story.end !== null) throw new Error(`${task} ended twice`);
  if (!story.exited.has(story.current)) throw new Error(`${task} ended, its attempt had not`);
  story.end = { outcome: how.outcome, class: how.class };
}

function storyOf(stories: Map<string, TaskStory>, task: string): TaskStory {
  const known = stories.get(task);
  if (known !== undefined) return known;
  const sets = { begun: new Set<number>(), superseded: new Set<number>() };
  const fresh = { ...sets, exited: new Map(), retries: {}, current: 1, end: null };
  stories.set(task, fresh);
  return fresh;
}
