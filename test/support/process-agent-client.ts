/** An agent in a process of its own, to be killed while its steps run. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { StepSpec } from '#agent/process/supervisor.ts';
import { until } from './until.ts';

/** Another process that runs steps, to be killed. */
export class ProcessAgent {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #said = '';

  constructor(rung = 'subreaper') {
    const script = fileURLToPath(new URL('./process-agent.ts', import.meta.url));
    const args = ['--import', 'tsx', script, rung];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#child.stdin.on('error', () => undefined);
  }

  ask(dir: string, spec: StepSpec): void {
    this.#child.stdin.write(`${JSON.stringify({ dir, spec })}\n`);
  }

  async pids(howMany: number): Promise<number[]> {
    return until(() => {
      const found = [...this.#said.matchAll(/^started (\d+)$/gm)].map(([, pid]) => Number(pid));
      return found.length >= howMany ? found : null;
    }, `${howMany} started steps`);
  }

  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await gone;
  }
}
