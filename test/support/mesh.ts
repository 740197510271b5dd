/**
 * A local mesh of a test's own: real programs from dist/, a private $BENCHMESH_HOME, ended and
 * checked for left-overs when the test ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { attemptProcesses } from '#cli/mesh/local-steps.ts';
import { MeshFile } from '#protocol/runtime/local-mesh.ts';
import { isRunning, processesWithEnvironment } from './processes.ts';
import { until } from './until.ts';

export const CLI = resolve('dist/benchmesh.js');

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly input?: string;
  /** Bound on hanging. */
  readonly deadlineMs?: number;
}

/** A started CLI process with what it printed so far. */
export interface CliProcess {
  readonly process: ChildProcess;
  stdout(): string;
  stderr(): string;
  readonly ended: Promise<CliResult>;
}

type Part = 'server' | 'coordinator' | 'agent';

export class TestMesh {
  readonly home: string;
  readonly #env: Readonly<Record<string, string | undefined>>;

  private constructor(home: string, env: Readonly<Record<string, string | undefined>>) {
    this.home = home;
    this.#env = env;
  }

  /** A home folder in `parent` and nothing running in it yet. */
  static async create(
    env: Readonly<Record<string, string | undefined>> = {},
    parent = tmpdir(),
  ): Promise<TestMesh> {
    return new TestMesh(await mkdtemp(join(parent, 'benchmesh-test-')), env);
  }

  /** `up --detach`, and its slots. */
  async up(...flags: string[]): Promise<void> {
    await this.ok('up', '--detach', ...flags);
  }

  start(args: readonly string[], options: CliOptions = {}): CliProcess {
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      BENCHMESH_HOME: this.home,
      NO_COLOR: '1',
      ...this.#env,
      ...options.env,
    };
    if (options.env?.['BENCHMESH_SERVER'] === undefined) delete env['BENCHMESH_SERVER'];
    if (options.env?.['BENCHMESH_CREDENTIAL'] === undefined) delete env['BENCHMESH_CREDENTIAL'];
    const child = spawn(process.execPath, [CLI, ...args], {
      env,
      cwd: options.cwd ?? this.home,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => err.push(bytes));
    child.stdin.end(options.input ?? '');
    const text = (parts: Buffer[]): string => Buffer.concat(parts).toString('utf8');
    const ended = new Promise<CliResult>((settle, fail) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        fail(
          new Error(
            `benchmesh ${args.join(' ')} did not end; it printed:\n${text(out)}\n${text(err)}`,
          ),
        );
      }, options.deadlineMs ?? 60_000);
      child.on('close', (status) => {
        clearTimeout(timer);
        settle({ status, stdout: text(out), stderr: text(err) });
      });
    });
    ended.catch(() => undefined); // whoever awaits it sees the failure
    return { process: child, stdout: () => text(out), stderr: () => text(err), ended };
  }

  async cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return this.start(args, options).ended;
  }

  /** Runs the CLI and expects status 0; answers what it printed. */
  async ok(...args: string[]): Promise<string> {
    const result = await this.cli(args);
    if (result.status !== 0) {
      throw new Error(
        `benchmesh ${args.join(' ')} ended with ${String(result.status)}:\n${result.stdout}\n${result.stderr}`,
      );
    }
    return result.stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '--json')) as T;
  }

  /** Writes a suite (or a script beside one) into the home folder and answers its path. */
  async file(name: string, text: string): Promise<string> {
    const path = join(this.home, name);
    await writeFile(path, text, { mode: 0o755 });
    return path;
  }

  /** Submits detached and answers the run's id. */
  async submit(suite: string, ...flags: string[]): Promise<string> {
    return (await this.ok('run', suite, '--detach', ...flags)).trim().split(/\s+/).at(-1) ?? '';
  }

  async meshFile(): Promise<MeshFile> {
    return MeshFile.parse(JSON.parse(await readFile(join(this.home, 'mesh.json'), 'utf8')));
  }

  async pid(part: Part): Promise<number> {
    const mesh = await this.meshFile();
    const pid = mesh[part]?.pid;
    if (pid === undefined) throw new Error(`the mesh has no ${part}`);
    return pid;
  }

  /** kill -9 of one part; resolves when it is gone. */
  async kill9(part: Part): Promise<void> {
    const pid = await this.pid(part);
    process.kill(pid, 'SIGKILL');
    await until(() => !isRunning(pid), `${part} to be gone`);
  }

  /** Waits for the run to have its directory; a failure says what the coordinator knows of it. */
  async archived(run: string, deadlineMs = 60_000): Promise<string> {
    const directory = join(this.home, 'results', run);
    try {
      await until(
        () => readFile(join(directory, 'benchmesh.json')),
        `the directory of ${run}`,
        deadlineMs,
      );
    } catch (error) {
      const doctor = await this.cli(['doctor']);
      const log = await readFile(join(this.home, 'logs', 'coordinator.log'), 'utf8').catch(String);
      const events = await this.cli(['events', run]);
      const last = (text: string): string => text.trim().split('\n').slice(-12).join('\n');
      throw new Error(
        `${String(error)}\n${doctor.stdout}\n${last(log)}\n${last(events.stdout)}\n${(await readdir(join(this.home, 'results'))).join(' ')}`,
        { cause: error },
      );
    }
    return directory;
  }

  /** Ends everything that belongs to this home, by pid; answers what had to be killed. */
  async dispose(): Promise<void> {
    await this.cli(['down', '--force'], { deadlineMs: 30_000 }).catch(() => undefined);
    for (let round = 0; round < 50; round += 1) {
      const left = [
        ...processesWithEnvironment('BENCHMESH_HOME', this.home),
        // Benchmarks do not have that variable; `down --force` leaves them running.
        ...attemptProcesses(join(this.home, 'agent')),
      ];
      if (left.length === 0) break;
      for (const pid of left) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // gone in between
        }
      }
      await until(() => left.every((pid) => !isRunning(pid)), 'left-overs to be gone', 5_000).catch(
        () => undefined,
      );
    }
    await rm(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}
