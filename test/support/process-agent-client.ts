/** An agent in a process of its own, to be killed while its steps run. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { StepOutcome, StepSpec, SupervisorOptions } from '#agent/process/supervisor.ts';
import type { AgentRequest } from './process-agent.ts';
import { until } from './until.ts';

export interface ProcessAgentOptions extends Pick<
  SupervisorOptions,
  'rung' | 'owner' | 'cgroupHome' | 'controllers'
> {
  /** Words before the program's: what makes it another user's, or moves it. */
  readonly wrapper?: readonly string[];
}

/** Another process that runs steps, to be killed. */
export class ProcessAgent {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #said = '';

  constructor({ wrapper = [], ...options }: ProcessAgentOptions = {}) {
    const script = fileURLToPath(new URL('./process-agent.ts', import.meta.url));
    const about = JSON.stringify({ rung: 'subreaper', ...options });
    const words = [...wrapper, process.execPath, '--import', 'tsx', script, about];
    const [program = process.execPath, ...args] = words;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#child.stdin.on('error', () => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it says of its supervision: the rung, and why there is no better one. */
  async begun(): Promise<{ rung: string; degraded: string }> {
    return until(() => {
      const [, rung, degraded] = /^begun (\w+) (.*)$/m.exec(this.#said) ?? [];
      if (this.#child.exitCode !== null) throw new Error(`it ended with ${this.#child.exitCode}`);
      return rung === undefined ? null : { rung, degraded: degraded ?? '' };
    }, 'the agent to begin');
  }

  ask(dir: string, spec: StepSpec): void {
    this.#write({ dir, spec });
  }

  stop(dir: string): void {
    this.#write({ dir, stop: true });
  }

  async pids(howMany: number): Promise<number[]> {
    return until(() => {
      const found = [...this.#said.matchAll(/^started (\d+)$/gm)].map(([, pid]) => Number(pid));
      return found.length >= howMany ? found : null;
    }, `${howMany} started steps`);
  }

  async outcomeOf(dir: string): Promise<StepOutcome> {
    return until(() => {
      for (const [, text = ''] of this.#said.matchAll(/^ended (.*)$/gm)) {
        const ended = JSON.parse(text) as { dir: string; outcome: StepOutcome };
        if (ended.dir === dir) return ended.outcome;
      }
      return null;
    }, `the end of ${dir}`);
  }

  /** Ends it in order. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#gone();
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone();
  }

  async #gone(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await new Promise((resolve) => this.#child.once('exit', resolve));
  }

  #write(request: AgentRequest): void {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
  }
}
