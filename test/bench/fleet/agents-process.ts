/** The bench's side of a process of simulated agents. */
import { build } from 'esbuild';
import { fork, type ChildProcess } from 'node:child_process';
import { join, resolve } from 'node:path';
import type { AgentsAnswer, AgentsOrder, AgentsQuestion, AgentsReport } from './agents-messages.ts';

/**
 * Bundles their program into the folder, as the product's are: compiled as it is loaded, each closure is given its
 * name as it is made, which costs. Resolves with its file.
 */
export async function buildAgents(folder: string): Promise<string> {
  const outfile = join(folder, 'agents.mjs');
  await build({
    entryPoints: [resolve('test/bench/fleet/agents-main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    logLevel: 'warning',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  return outfile;
}

export class AgentsProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #waiting: {
    kind: string;
    resolve: (answer: AgentsAnswer) => void;
    fail: (error: Error) => void;
  }[] = [];
  #broken: Error | null = null;
  #isEnding = false;

  /** `file`: of `buildAgents`; `nodeFlags`: of a profiler. */
  constructor(file: string, order: AgentsOrder, nodeFlags: readonly string[]) {
    this.#child = fork(file, [JSON.stringify(order)], {
      // Hundreds of agents make hundreds of times the garbage of one in its own process.
      execArgv: ['--max-semi-space-size=64', ...nodeFlags],
      serialization: 'advanced',
    });
    this.#child.on('message', (answer: AgentsAnswer) => {
      this.#onAnswer(answer);
    });
    this.#ended = new Promise((settle) => {
      this.#child.on('exit', (status) => {
        if (!this.#isEnding) this.#fail(new Error(`an agents process ended: ${String(status)}`));
        settle();
      });
    });
  }

  pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('an agents process could not be started');
    return pid;
  }

  /** Resolves when all its agents read their mailboxes. */
  async ready(): Promise<void> {
    await this.#answer('ready');
  }

  /** What came since the last report. */
  async report(): Promise<AgentsReport> {
    this.#ask('report');
    return (await this.#answer('report')) as AgentsReport;
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    this.#ask('end');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 20_000);
    await this.#ended;
    clearTimeout(timer);
  }

  #ask(question: AgentsQuestion): void {
    if (this.#child.connected) this.#child.send(question);
  }

  #answer(kind: AgentsAnswer['kind']): Promise<AgentsAnswer> {
    if (this.#broken !== null) return Promise.reject(this.#broken);
    return new Promise((settle, fail) => {
      this.#waiting.push({ kind, resolve: settle, fail });
    });
  }

  #onAnswer(answer: AgentsAnswer): void {
    if (answer.kind === 'broken') {
      this.#fail(new Error(answer.error));
      return;
    }
    const at = this.#waiting.findIndex(({ kind }) => kind === answer.kind);
    this.#waiting.splice(at, 1)[0]?.resolve(answer);
  }

  /** Whoever asks next is told, too: a figure taken from a broken fleet is none. */
  #fail(error: Error): void {
    this.#broken ??= error;
    for (const { fail } of this.#waiting.splice(0)) fail(error);
  }
}
