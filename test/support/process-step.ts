/** Runs single steps under a supervisor, for tests: a folder each, and promises for what it says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Gone } from '#agent/process/record/step-record.ts';
import { LogSegments, type LogChunk, type LogGap } from '#agent/process/spool/log-segments.ts';
import type {
  Adoption,
  KnownStart,
  StepEvents,
  StepHandle,
  StepOutcome,
  StepSpec,
  Supervisor,
} from '#agent/process/types.ts';

export const PATH = '/usr/local/bin:/usr/bin:/bin';

export interface RunningStep {
  readonly dir: string;
  readonly handle: StepHandle;
  readonly started: Promise<number>;
  readonly ended: Promise<StepOutcome>;
  /** How often each callback came. */
  readonly calls: { started: number; output: number; end: number };
}

export interface StepOutput {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Both in the order they arrived. */
  readonly chunks: readonly LogChunk[];
  readonly gaps: readonly LogGap[];
  readonly end: number;
}

/** A folder for a test's steps, and the supervisor they run under. */
export class StepBench {
  readonly supervisor: Supervisor;
  readonly root = mkdtempSync(join(tmpdir(), 'bm-process-'));
  readonly #running = new Set<StepHandle>();
  #count = 0;

  constructor(supervisor: Supervisor) {
    this.supervisor = supervisor;
  }

  dir(): string {
    const dir = join(this.root, `step-${(this.#count += 1)}`);
    this.supervisor.makeFolder(dir);
    return dir;
  }

  spec(argv: readonly string[], changes: Partial<StepSpec> = {}): StepSpec {
    return {
      argv,
      env: { PATH, LC_ALL: 'C' },
      cwd: this.root,
      stdio: 'pipe',
      budgetMs: null,
      graceMs: 5000,
      stopSignal: 'SIGTERM',
      stopFile: join(this.root, 'stop'),
      logLimitBytes: 64 * 1024 * 1024,
      ...changes,
    };
  }

  start(argv: readonly string[], changes: Partial<StepSpec> = {}, dir = this.dir()): RunningStep {
    const heard = listen();
    const handle = this.supervisor.start(dir, this.spec(argv, changes), heard.events);
    this.#running.add(handle);
    void heard.ended.then(() => this.#running.delete(handle));
    return { dir, handle, ...heard };
  }

  async run(argv: readonly string[], changes: Partial<StepSpec> = {}): Promise<StepOutcome> {
    return this.start(argv, changes).ended;
  }

  /** Adopts, and gives an alive step the same shape as a started one. */
  async adopt(
    dir: string,
    known?: KnownStart,
  ): Promise<Adoption & { readonly step?: RunningStep }> {
    const heard = listen();
    const adoption = await this.supervisor.adopt(dir, heard.events, known);
    if (adoption.kind !== 'alive') return adoption;
    this.#running.add(adoption.handle);
    void heard.ended.then(() => this.#running.delete(adoption.handle));
    return { ...adoption, step: { dir, handle: adoption.handle, ...heard } };
  }

  /** Ends what still runs and removes the folder. */
  dispose(): void {
    for (const handle of this.#running) handle.stop({ now: true });
    this.supervisor.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Reads a step's whole output as the shipper would, in small pieces. */
export function outputOf(dir: string, logBytes?: number, pieceBytes = 50_000): StepOutput {
  const log = new LogSegments(dir);
  if (logBytes !== undefined) log.finish(logBytes);
  const chunks: LogChunk[] = [];
  const gaps: LogGap[] = [];
  let end = 0;
  for (;;) {
    const read = log.readFrom(end, pieceBytes);
    chunks.push(...read.chunks);
    gaps.push(...read.gaps);
    if (read.nextOffset === end) break;
    end = read.nextOffset;
  }
  log.close();
  const joined = (stream: string): Buffer =>
    Buffer.concat(chunks.filter((chunk) => chunk.stream === stream).map(({ bytes }) => bytes));
  return { stdout: joined('stdout'), stderr: joined('stderr'), chunks, gaps, end };
}

function listen(): {
  events: StepEvents;
  started: Promise<number>;
  ended: Promise<StepOutcome>;
  calls: RunningStep['calls'];
} {
  const calls = { started: 0, output: 0, end: 0 };
  let onStarted: (pid: number) => void = () => undefined;
  let onEnd: (outcome: StepOutcome) => void = () => undefined;
  const started = new Promise<number>((resolve) => (onStarted = resolve));
  const ended = new Promise<StepOutcome>((resolve) => (onEnd = resolve));
  const events: StepEvents = {
    onStarted: (pid) => {
      calls.started += 1;
      onStarted(pid);
    },
    onOutput: () => (calls.output += 1),
    onEnd: (outcome) => {
      calls.end += 1;
      onEnd(outcome);
    },
  };
  return { events, started, ended, calls };
}

/** A `gone` line of a record, with all that one has. */
export function goneLine(changes: Partial<Gone>): Gone {
  return {
    type: 'gone',
    empty: true,
    reaped: 1,
    processes: 1,
    waves: 0,
    signal: 0,
    goneUs: 1,
    stopRequested: false,
    deadline: false,
    logBytes: 0,
    droppedStdout: 0,
    droppedStderr: 0,
    ...changes,
  };
}
