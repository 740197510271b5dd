/**
 * `agent run --supervise`: keeps an agent alive where no service manager does.
 *
 *   starting -> up --ended--> waiting (back-off) -> starting
 *                 \--ended after TERM, or for good--> over: the agent's own status
 *
 * Signals are passed on to the agent, which knows what they mean; SIGUSR2 starts it again at once,
 * with the config as it is then. What comes next is restart-policy.ts.
 */
import { constants } from 'node:os';
import { EXIT, toError } from '#protocol/messages/errors.ts';
import { pause } from '#protocol/nats/connection.ts';
import { afterExit, type AgentExit, type Asked } from '../agent/restart-policy.ts';
import { terminal } from '../output/terminal.ts';
import { openStarter, type AgentStarter, type StartedAgent } from './agent-starter.ts';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const;

/** Resolves with the status to end with. `argsOf` rejects where the agent cannot be started so. */
export async function superviseAgent(argsOf: () => Promise<string[]>): Promise<number> {
  const args = await argsOf();
  const starter = await openStarter();
  if (!starter.reaps) {
    say(
      'no perl here: what outlives a dead agent is left to PID 1; run the container with an init (docker run --init)',
    );
  }
  const loop = new Loop(starter, argsOf, args);
  try {
    return await loop.run();
  } finally {
    loop.close();
    starter.close();
  }
}

class Loop {
  readonly #starter: AgentStarter;
  readonly #argsOf: () => Promise<string[]>;
  #args: string[];
  #agent: StartedAgent | null = null;
  #asked: Asked = 'nothing';
  #failures = 0;
  /** Ends the wait between two starts. */
  #awake = new AbortController();
  readonly #listeners = SIGNALS.map((name) => {
    const listener = (): void => {
      this.#onSignal(name);
    };
    process.on(name, listener);
    return () => process.off(name, listener);
  });

  constructor(starter: AgentStarter, argsOf: () => Promise<string[]>, args: string[]) {
    this.#starter = starter;
    this.#argsOf = argsOf;
    this.#args = args;
    process.on('SIGHUP', ignore);
  }

  async run(): Promise<number> {
    for (;;) {
      const exit = await this.#live();
      const next = afterExit(
        { exit, asked: this.#asked, failures: this.#failures },
        constants.signals,
      );
      if (next.say !== null) say(next.say);
      if (next.kind === 'end') return next.status;
      this.#failures = next.failures;
      this.#asked = 'nothing';
      this.#awake = new AbortController();
      await pause(next.afterMs, this.#awake.signal);
      if (this.#wantsEnd()) {
        say('ended while no agent was up: what ran goes on, the next agent adopts it');
        return EXIT.failed;
      }
      this.#asked = 'nothing';
      await this.#renewArgs();
    }
  }

  close(): void {
    for (const off of this.#listeners) off();
    process.off('SIGHUP', ignore);
  }

  async #live(): Promise<AgentExit> {
    const from = performance.now();
    try {
      this.#agent = await this.#starter.start(this.#args);
      // One that came between two agents is for this one.
      if (this.#wantsEnd()) this.#agent.kill('SIGTERM');
      const { code, signal } = await this.#agent.exited;
      return { code, signal, livedMs: performance.now() - from };
    } finally {
      this.#agent = null;
    }
  }

  #onSignal(name: (typeof SIGNALS)[number]): void {
    if (this.#asked !== 'end') this.#asked = name === 'SIGUSR2' ? 'renew' : 'end';
    this.#agent?.kill(name);
    this.#awake.abort();
  }

  /** A method, so that the compiler does not believe it constant across an await. */
  #wantsEnd(): boolean {
    return this.#asked === 'end';
  }

  /** A config that has gone wrong meanwhile is no reason to be without an agent. */
  async #renewArgs(): Promise<void> {
    try {
      this.#args = await this.#argsOf();
    } catch (error) {
      say(`${toError(error).message}; the agent is started as before`);
    }
  }
}

const ignore = (): void => undefined;

function say(line: string): void {
  terminal.note(`benchmesh: ${line}`);
}
