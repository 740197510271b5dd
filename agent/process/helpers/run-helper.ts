/**
 * Runs a small helper program to its end, within a time and an amount of output, and never rejects.
 *
 * It begins in its own session; what is left of its process group is killed when it ends and when its
 * time is over. The result does not wait for the pipes: a child that holds them keeps nobody waiting.
 * A process the kernel does not let die (a driver that hangs) outlives its kill: `gone` tells when.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { errnoOf, toError } from '#protocol/messages/errors.ts';

export interface HelperLimits {
  readonly timeoutMs: number;
  /** Of stdout and stderr each; more ends the program. */
  readonly maxBytes: number;
  /** Ends the program. */
  readonly signal?: AbortSignal;
  /** Default: `/`. */
  readonly cwd?: string;
  /** The whole environment; default: the agent's own, in the language of programs. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of its output; `latin1`: a byte a character. Default: `utf8`. */
  readonly encoding?: 'utf8' | 'latin1';
}

export type HelperEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signaled'; readonly signal: string }
  | { readonly kind: 'timed_out'; readonly afterMs: number }
  | { readonly kind: 'too_much_output'; readonly maxBytes: number }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'not_started'; readonly reason: string };

export interface HelperResult {
  readonly end: HelperEnd;
  readonly stdout: string;
  readonly stderr: string;
  readonly pid: number | null;
  /** Settles when the process has been reaped. */
  readonly gone: Promise<void>;
}

/** Output that is still in the pipes when the program has ended is waited for this long. */
const DRAIN_MS = 250;

export async function runHelper(
  argv: readonly [string, ...string[]],
  limits: HelperLimits,
): Promise<HelperResult> {
  const [program, ...args] = argv;
  let child: ChildProcess;
  try {
    child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      cwd: limits.cwd ?? '/',
      // Numbers and messages as they are parsed, whatever the language of the host.
      env: limits.env ?? { ...process.env, LC_ALL: 'C', LANG: 'C' },
    });
  } catch (error) {
    return unstarted(error);
  }
  return new Run(child, limits).result;
}

class Run {
  readonly result: Promise<HelperResult>;
  readonly #child: ChildProcess;
  readonly #limits: HelperLimits;
  readonly #parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  readonly #bytes = { stdout: 0, stderr: 0 };
  readonly #gone: Promise<void>;
  #resolve: (result: HelperResult) => void = () => undefined;
  #end: HelperEnd | null = null;
  #isGone = false;
  #timer: NodeJS.Timeout;

  constructor(child: ChildProcess, limits: HelperLimits) {
    this.#child = child;
    this.#limits = limits;
    this.result = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#gone = new Promise((resolve) => {
      child.once('exit', () => {
        this.#isGone = true;
        resolve();
      });
      child.once('error', () => {
        resolve();
      });
    });
    this.#timer = setTimeout(() => {
      this.#cut({ kind: 'timed_out', afterMs: limits.timeoutMs });
    }, limits.timeoutMs);
    limits.signal?.addEventListener('abort', this.#onAbort, { once: true });
    // Without file descriptors left there are no pipes; 'error' comes then.
    child.stdout?.on('data', (bytes: Buffer) => {
      this.#onBytes('stdout', bytes);
    });
    child.stderr?.on('data', (bytes: Buffer) => {
      this.#onBytes('stderr', bytes);
    });
    child.once('error', (error) => {
      if (child.pid === undefined) this.#settle(unstarted(error));
    });
    child.once('exit', (code, signal) => {
      this.#onExit(code, signal);
    });
    child.once('close', () => {
      this.#finish();
    });
  }

  readonly #onAbort = (): void => {
    this.#cut({ kind: 'signaled', signal: 'SIGKILL' });
  };

  #onBytes(stream: 'stdout' | 'stderr', bytes: Buffer): void {
    const room = this.#limits.maxBytes - this.#bytes[stream];
    this.#parts[stream].push(bytes.subarray(0, room));
    this.#bytes[stream] += bytes.length;
    if (bytes.length > room) {
      this.#cut({ kind: 'too_much_output', maxBytes: this.#limits.maxBytes });
    }
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#end ??=
      code === null ? { kind: 'signaled', signal: signal ?? 'unknown' } : { kind: 'exited', code };
    clearTimeout(this.#timer);
    this.#killGroup();
    this.#timer = setTimeout(() => {
      this.#finish();
    }, DRAIN_MS);
  }

  /** Ends it, and answers at once: its end may never come. */
  #cut(end: HelperEnd): void {
    this.#end ??= end;
    this.#killGroup();
    this.#finish();
  }

  /** The group's id is its leader's pid, which is not given to another before all members are gone. */
  #killGroup(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Nobody is left in it.
    }
  }

  #finish(): void {
    const text = (stream: 'stdout' | 'stderr'): string =>
      Buffer.concat(this.#parts[stream]).toString(this.#limits.encoding ?? 'utf8');
    this.#settle({
      end: this.#end ?? { kind: 'not_started', reason: 'it ended without a status' },
      stdout: text('stdout'),
      stderr: text('stderr'),
      pid: this.#child.pid ?? null,
      gone: this.#isGone ? Promise.resolve() : this.#gone,
    });
  }

  #settle(result: HelperResult): void {
    clearTimeout(this.#timer);
    this.#limits.signal?.removeEventListener('abort', this.#onAbort);
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
    // One that cannot be killed does not keep the agent from ending.
    this.#child.unref();
    this.#resolve(result);
  }
}

function unstarted(error: unknown): HelperResult {
  const reason = toError(error).message;
  const isMissing = errnoOf(error) === 'ENOENT';
  return {
    end: isMissing ? { kind: 'not_found' } : { kind: 'not_started', reason },
    stdout: '',
    stderr: '',
    pid: null,
    gone: Promise.resolve(),
  };
}
