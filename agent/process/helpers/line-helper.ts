/**
 * Runs a small helper program that goes on printing lines until it is ended, such as `nvidia-smi -lms`.
 *
 *   agent --stdin--> sh --starts--> program --stdout, stderr--> agent
 *
 * It begins in its own session, below a shell that waits on a pipe from the agent: an agent that dies,
 * however it dies, closes the pipe, and the shell kills the program, waits for it, and kills the rest of
 * the process group. So the program is never left behind, also where it prints nothing and would never
 * hear that nobody reads it. One the kernel does not let die keeps its shell waiting: `isGone` is false.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { toError } from '#protocol/messages/errors.ts';

/** Status 127 is the shell's for a program that is not there. */
const SHELL =
  '"$@" </dev/null & child=$!; exec >/dev/null 2>&1; if read -r _; then wait "$child"; exit $?; fi; kill -KILL "$child"; wait "$child"; kill -KILL 0';
/** A line without end is cut here. */
const MOST_LINE = 64 * 1_024;
/** Its end is told once its output is closed; then its status is waited for so long. */
const STATUS_MS = 1_000;

export interface LineHelperEvents {
  /** Of stdout and stderr alike, without its end. */
  readonly onLine: (line: string) => void;
  /** Exactly once, unless `end` was called before. `status` is null where it was killed. */
  readonly onEnd: (status: number | null, reason: string | null) => void;
}

export class LineHelper {
  readonly #child: ChildProcess | null;
  readonly #events: LineHelperEvents;
  #isOver = false;
  #isGone = false;
  #open = 2;
  #timer: NodeJS.Timeout | undefined;

  constructor(argv: readonly [string, ...string[]], events: LineHelperEvents) {
    this.#events = events;
    this.#child = this.#spawn(argv);
  }

  /** Of the shell, which is the leader of the program's group; null where nothing was started. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Ends it; nothing is called any more. Idempotent. */
  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#child?.stdin?.destroy();
    this.#child?.stdout?.destroy();
    this.#child?.stderr?.destroy();
  }

  #spawn(argv: readonly [string, ...string[]]): ChildProcess | null {
    let child: ChildProcess;
    try {
      child = spawn('/bin/sh', ['-c', SHELL, 'sh', ...argv], {
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
        cwd: '/',
        env: { ...process.env, LC_ALL: 'C', LANG: 'C' },
      });
    } catch (error) {
      this.#fail(error);
      return null;
    }
    child.once('error', (error) => {
      this.#fail(error);
    });
    child.once('exit', (status) => {
      this.#onExit(status);
    });
    // The shell may be gone when it is told to go.
    child.stdin?.on('error', () => undefined);
    this.#follow(child.stdout);
    this.#follow(child.stderr);
    child.unref();
    return child;
  }

  #fail(error: unknown): void {
    this.#isGone = true;
    queueMicrotask(() => {
      this.#over(null, toError(error).message);
    });
  }

  #follow(stream: ChildProcess['stdout']): void {
    if (stream === null) return;
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(0, MOST_LINE);
      for (const line of lines) if (!this.#isOver) this.#events.onLine(line.slice(0, MOST_LINE));
    });
    stream.once('close', () => {
      if (rest !== '' && !this.#isOver) this.#events.onLine(rest);
      this.#onClosed();
    });
  }

  /** Both closed: the program is over, and the shell may say how. */
  #onClosed(): void {
    this.#open -= 1;
    if (this.#open > 0 || this.#isOver) return;
    this.#child?.stdin?.write('\n');
    this.#timer = setTimeout(() => {
      this.#killGroup();
    }, STATUS_MS);
  }

  #onExit(status: number | null): void {
    this.#isGone = true;
    clearTimeout(this.#timer);
    // What the program has left in its group holds its pipes, and is of no use any more.
    this.#killGroup();
    this.#over(status, null);
  }

  #over(status: number | null, reason: string | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.onEnd(status, reason);
  }

  /** The group's id is its leader's pid, which is not given to another before all members are gone. */
  #killGroup(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Nobody is left in it.
    }
  }
}
