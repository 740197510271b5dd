/** The bench's side of a process of simulated agents. */
import { fork, type ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';
import type { AgentsAnswer, AgentsOrder, AgentsQuestion, AgentsReport } from './agents-messages.ts';

const MAIN = resolve('test/bench/fleet/agents-main.ts');

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

  /** `nodeFlags`: of a profiler. */
  constructor(order: AgentsOrder, nodeFlags: readonly string[]) {
    this.#child = fork(MAIN, [JSON.stringify(order)], {
      execArgv: ['--import', 'tsx', ...nodeFlags],
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
