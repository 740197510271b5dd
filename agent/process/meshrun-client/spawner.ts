/**
 * The agent's end of `meshrun --spawner`: hands it starts, hears how each went.
 *
 * Begun with the first start, and again after it died. It ends with the agent, or on
 * close(); what it started lives on (I8). A start that was under way when it died is
 * `undecided`: its answer pipe has ended by then, so the step's folder says what became of
 * it, and that will not change (spawner.h).
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { silent, type Log } from '../log.ts';

export type StartAnswer =
  | { readonly kind: 'ready'; readonly pid: number; readonly isInCgroup: boolean }
  | { readonly kind: 'failed'; readonly errno: number; readonly what: string }
  | { readonly kind: 'undecided' };

/** What the helper says of this host when it begins. */
export interface Hello {
  readonly version: string;
  readonly subreaper: boolean;
  readonly proc: boolean;
}

export type BindFailure = Omit<Extract<StartAnswer, { kind: 'failed' }>, 'kind'>;

type SpawnerProcess = ChildProcessByStdio<Writable, Readable, null>;

interface Running {
  readonly child: SpawnerProcess;
  readonly waiting: Map<number, (answer: StartAnswer) => void>;
  readonly binding: Map<number, (failure: BindFailure | null) => void>;
  partial: string;
}

export class Spawner {
  readonly #path: string;
  readonly #log: Log;
  #running: Running | null = null;
  #hello: ((hello: Hello | null) => void) | null = null;

  constructor(path: string, log: Log = silent) {
    this.#path = path;
    this.#log = log;
  }

  /** Begins the process and resolves with its hello; null if it cannot run here. */
  async begin(): Promise<Hello | null> {
    return new Promise((resolve) => {
      this.#hello = resolve;
      this.#begin();
    });
  }

  /** `answer` comes exactly once, later, unless closed before. */
  request(id: number, frame: Buffer, answer: (answer: StartAnswer) => void): void {
    const running = this.#running ?? this.#begin();
    running.waiting.set(id, answer);
    running.child.stdin.write(frame);
  }

  /** `onBound` has null where it was done; it does not come where the spawner ends before. */
  bind(id: number, frame: Buffer, onBound: (failure: BindFailure | null) => void): void {
    const running = this.#running ?? this.#begin();
    running.binding.set(id, onBound);
    running.child.stdin.write(frame);
  }

  /** `onEnded` comes when its process has ended, or there was none. */
  close(onEnded: () => void = () => undefined): void {
    const running = this.#running;
    if (running === null) {
      onEnded();
      return;
    }
    this.#running = null;
    running.waiting.clear();
    running.child.once('exit', onEnded);
    running.child.stdin.end();
  }

  #begin(): Running {
    // An empty environment: the helper must not look like a process of the step it runs.
    const child = spawn(this.#path, ['--spawner'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
      env: {},
      cwd: '/',
    });
    const running: Running = { child, waiting: new Map(), binding: new Map(), partial: '' };
    this.#running = running;
    child.stdout.setEncoding('latin1');
    child.stdout.on('data', (text: string) => {
      this.#onText(running, text);
    });
    child.stdin.on('error', () => undefined); // its end is heard by 'close'
    child.on('error', (error) => {
      this.#log('error', 'meshrun spawner cannot run', { error: error.message });
      this.#onEnd(running);
    });
    child.on('exit', (code, signal) => {
      if (this.#running !== running) return;
      this.#running = null;
      this.#log('warn', 'meshrun spawner ended', { code, signal });
    });
    child.on('close', () => {
      this.#onEnd(running);
    });
    return running;
  }

  #onEnd(running: Running): void {
    if (this.#running === running) this.#running = null;
    this.#answerHello(null);
    const waiting = [...running.waiting.values()];
    running.waiting.clear();
    for (const answer of waiting) answer({ kind: 'undecided' });
  }

  #answerHello(hello: Hello | null): void {
    this.#hello?.(hello);
    this.#hello = null;
  }

  #onText(running: Running, text: string): void {
    const lines = (running.partial + text).split('\n');
    running.partial = lines.pop() ?? '';
    for (const line of lines) this.#onLine(running, line.split(' '));
  }

  #onLine(running: Running, words: readonly string[]): void {
    const [verb, first = '', second = '', ...rest] = words;
    if (verb === 'hello') {
      this.#answerHello({
        version: first,
        subreaper: second === 'subreaper',
        proc: rest[0] === 'proc',
      });
      return;
    }
    const id = Number(first);
    const failure = { errno: Number(second), what: rest.join(' ') };
    const onBound = running.binding.get(id);
    if (onBound !== undefined) {
      running.binding.delete(id);
      onBound(verb === 'bound' ? null : failure);
      return;
    }
    if (verb === 'died') {
      this.#log('warn', 'a meshrun did not end well', { id, status: Number(second) });
    }
    const answer = running.waiting.get(id);
    if (answer === undefined) return;
    running.waiting.delete(id);
    if (verb === 'ready') {
      answer({ kind: 'ready', pid: Number(second), isInCgroup: rest[0] === 'cgroup' });
    } else if (verb === 'failed') {
      answer({ kind: 'failed', ...failure });
    } else answer({ kind: 'undecided' });
  }
}
