/**
 * The mesh of the simulated fleet: nats-server and coordinator as they are installed, agents in a few
 * processes, the CLI for what an operator does.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programFile } from '#cli/mesh/programs.ts';
import { InfoReply } from '#protocol/messages/run/api.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';
import { startTestServer, type TestServer } from '#test/support/nats-server.ts';
import { until } from '#test/support/until.ts';
import { startCoordinator } from '../coordinator-process.ts';
import { AgentsProcess, buildAgents } from './agents-process.ts';
import type { AgentsReport } from './agents-messages.ts';
import type { FleetOptions } from './options.ts';

const STORE_BYTES = 8 * 1024 ** 3;
const START_MS = 120_000;
const ENDED_MS = 30_000;

export class FleetMesh {
  readonly connection: MeshConnection;
  readonly #server: TestServer;
  readonly #folder: string;
  #coordinator: ChildProcess;
  readonly #agents: readonly AgentsProcess[];

  private constructor(parts: {
    connection: MeshConnection;
    server: TestServer;
    folder: string;
    coordinator: ChildProcess;
    agents: readonly AgentsProcess[];
  }) {
    this.connection = parts.connection;
    this.#server = parts.server;
    this.#folder = parts.folder;
    this.#coordinator = parts.coordinator;
    this.#agents = parts.agents;
  }

  /** Resolves when every agent reads its mailbox; `flags`: of the first coordinator. */
  static async start(options: FleetOptions, flags: readonly string[] = []): Promise<FleetMesh> {
    const server = await startTestServer({ streams: false, maxStoreBytes: STORE_BYTES });
    const folder = await mkdtemp(join(tmpdir(), 'benchmesh-fleet-'));
    const connection = await server.connect('bench');
    const profiler = profilerOf(options);
    const coordinator = startCoordinator(server, folder, { nodeFlags: profiler, flags });
    const agents: AgentsProcess[] = [];
    const mesh = new FleetMesh({ connection, server, folder, coordinator, agents });
    try {
      await until(() => call(connection, 'info', {}), 'the coordinator', START_MS);
      const file = await buildAgents(folder);
      for (const ids of sharesOf(options)) {
        const { url, credentialFile } = server;
        const order = { url, credentialFile, ids, slots: options.slots };
        agents.push(new AgentsProcess(file, order, profiler));
      }
      await Promise.all(agents.map((one) => one.ready()));
      return mesh;
    } catch (error) {
      await mesh.close();
      throw error;
    }
  }

  /** Process ids by what they are; the CLI and this process are none of them. */
  pids(): Readonly<Record<'nats-server' | 'coordinator' | 'agents', readonly number[]>> {
    return {
      'nats-server': [this.#server.pid()],
      coordinator: [this.#coordinator.pid ?? NaN],
      agents: this.#agents.map((one) => one.pid()),
    };
  }

  /** Where the mesh is, for another part of it. */
  get server(): Pick<TestServer, 'url' | 'credentialFile'> {
    return this.#server;
  }

  get folder(): string {
    return this.#folder;
  }

  /** kill -9, and another one in its place, which has to wait for the lease; resolves when the first is gone. */
  async replaceCoordinator(): Promise<void> {
    const killed = this.#coordinator;
    const gone = new Promise((settle) => killed.once('exit', settle));
    if (!killed.kill('SIGKILL')) throw new Error('the coordinator had ended before it was killed');
    await gone;
    this.#coordinator = startCoordinator(this.#server, this.#folder);
  }

  /** Runs the CLI on this mesh; resolves with what it printed. */
  async cli(...args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [programFile('benchmesh'), ...args], {
      env: {
        ...process.env,
        NO_COLOR: '1',
        BENCHMESH_HOME: this.#folder,
        BENCHMESH_SERVER: this.#server.url,
        BENCHMESH_CREDENTIAL: this.#server.credentialFile,
        BENCHMESH_RESULTS: this.results,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const out: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
    const status = await new Promise((settle, fail) => {
      child.on('error', fail).on('close', settle);
    });
    const text = Buffer.concat(out).toString('utf8');
    if (status !== 0)
      throw new Error(`benchmesh ${args.join(' ')}: status ${String(status)}\n${text}`);
    return text;
  }

  /** Submits a suite by the CLI; resolves with the id of the run. */
  async submit(suite: string): Promise<string> {
    const file = join(this.#folder, 'suite.yaml');
    await writeFile(file, suite);
    return (await this.cli('run', file, '--detach')).trim();
  }

  async info(): Promise<InfoReply> {
    return InfoReply.parse(await call(this.connection, 'info', {}, 20_000));
  }

  /** What the agents have seen since the last report. */
  reports(): Promise<AgentsReport[]> {
    return Promise.all(this.#agents.map((one) => one.report()));
  }

  /** Lines of a file of an archived run; null while it is not archived. */
  async archivedLines(run: string, name: string): Promise<string[] | null> {
    const folder = join(this.results, run);
    try {
      await readFile(join(folder, 'benchmesh.json'));
    } catch {
      return null;
    }
    return (await readFile(join(folder, name), 'utf8')).trimEnd().split('\n');
  }

  /** The folder of all finished runs. */
  get results(): string {
    return join(this.#folder, 'results');
  }

  /** Ends all of it; what does not end is killed. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#agents.map((one) => one.end()));
    const ended = new Promise((settle) => this.#coordinator.once('exit', settle));
    if (this.#coordinator.exitCode === null) {
      this.#coordinator.kill('SIGTERM');
      const timer = setTimeout(() => this.#coordinator.kill('SIGKILL'), ENDED_MS);
      await ended;
      clearTimeout(timer);
    }
    await this.#server.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function profilerOf({ profileDir }: FleetOptions): string[] {
  return profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
}

/** Ids of the agents of each process. */
function sharesOf({ agents, processes }: FleetOptions): string[][] {
  const shares = Array.from({ length: Math.min(processes, agents) }, (): string[] => []);
  for (let at = 0; at < agents; at += 1) shares[at % shares.length]?.push(`s${at}`);
  return shares;
}
