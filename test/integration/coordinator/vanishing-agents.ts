/** Real agents that a test makes stand still, kills and starts again, beside a coordinator. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { EventRecord } from '#protocol/fold/record.ts';
import { spawnAgent, type AgentProcess } from '../agent/support/agent-process.ts';
import { openBench, type CoordinatorBench } from './bench.ts';

const OTHER_HOST = resolve('test/fixtures/other-host.mjs');

export class VanishingAgents {
  readonly bench: CoordinatorBench;
  readonly dir: string;
  readonly #agents: AgentProcess[] = [];

  private constructor(bench: CoordinatorBench, dir: string) {
    this.bench = bench;
    this.dir = dir;
  }

  static async open(): Promise<VanishingAgents> {
    const bench = await openBench();
    return new VanishingAgents(bench, await mkdtemp(join(tmpdir(), 'benchmesh-vanishing-')));
  }

  /** With the state folder that one of this id had before. */
  start(id: string, env: NodeJS.ProcessEnv = {}): AgentProcess {
    const { url, credentialFile } = this.bench.server;
    const state = ['--id', id, '--state', join(this.dir, id), '--slots', '1'];
    const agent = spawnAgent([...state, '--server', url, '--credential', credentialFile], env);
    this.#agents.push(agent);
    return agent;
  }

  /** As `start`, on a host of its own as far as the mesh can tell. */
  startElsewhere(id: string): AgentProcess {
    return this.start(id, { NODE_OPTIONS: `--import=${OTHER_HOST}`, OTHER_HOST: `host-${id}` });
  }

  /** A named pipe: `read word < PATH` waits, without a child of its own, for one line in it. */
  gate(name: string): string {
    const path = join(this.dir, name);
    execFileSync('mkfifo', [path]);
    return path;
  }

  async said(name: string): Promise<EventRecord[]> {
    return (await this.bench.events()).filter(({ message }) => message.name === name);
  }

  async close(): Promise<void> {
    for (const { child, exited } of this.#agents) {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
      await exited;
    }
    await this.bench.close();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
