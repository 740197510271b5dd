/**
 * The agent process: its log, its signals, its end. One clear line on stderr and the error's exit
 * status when it cannot start. What a signal means is in end-policy.ts; whatever it means, attempts
 * that are not stopped go on and are adopted by the next agent of the state folder (I8).
 */
import { join, resolve } from 'node:path';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import { openFileLog } from '#protocol/runtime/pino-log.ts';
import { systemClock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { startAgent, type RunningAgent } from './agent.ts';
import { drained } from './drain.ts';
import { onLeaveSignal, onTermSignal, type Meaning, type Phase } from './end-policy.ts';
import { execRulesOf, labelsOf, parseFlags, type Flags } from './flags.ts';
import { openStateFolder, type StateFolder } from './state/state-folder.ts';
import { withLines } from './stderr-log.ts';

class AgentProcess {
  readonly #flags: Flags;
  readonly #folder: StateFolder;
  readonly #log: Log;
  /** For what is said on stderr as the end of the process. */
  readonly #fileLog: Log;
  readonly #closeLog: () => void;
  readonly #abort = new AbortController();
  #agent: RunningAgent | null = null;
  #phase: Phase = 'running';
  #ending: Promise<void> | null = null;

  constructor(flags: Flags, folder: StateFolder, logFile: string) {
    this.#flags = flags;
    this.#folder = folder;
    const { log, close } = openLog(logFile, flags.id);
    this.#fileLog = log;
    this.#log = flags.stderrLog === true ? withLines(log, say) : log;
    this.#closeLog = close;
  }

  async run(logFile: string): Promise<void> {
    const { id, server, credential, slots, rung, label, exec, refresh } = this.#flags;
    const { accepts, connectTimeout, reservedCpus, spoolLimit, journalLimit, keepDays } =
      this.#flags;
    this.#listen();
    try {
      this.#agent = await startAgent({
        folder: this.#folder,
        url: server,
        credentialFile: credential === undefined ? null : resolve(credential),
        slots: slots ?? null,
        reservedCpus: reservedCpus ?? null,
        rung,
        labels: labelsOf(label),
        accepts: accepts ?? null,
        execRules: execRulesOf(exec),
        refreshMs: refresh,
        connectMs: connectTimeout ?? null,
        limits: {
          spoolBytes: spoolLimit ?? null,
          journalBytes: journalLimit ?? null,
          keepDays,
        },
        logFile,
        log: this.#log,
        signal: this.#abort.signal,
        onFatal: (error) => {
          this.#onFatal(error);
        },
      });
      if (this.#flags.stderrLog === true) say(`agent ${id} runs, state folder ${this.#folder.dir}`);
    } catch (error) {
      if (this.#ending !== null) return;
      this.#fileLog.error({ err: toError(error) }, 'the agent cannot start');
      await this.#folder.lock.release();
      throw error;
    }
  }

  #listen(): void {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        // One that has not begun has nothing to wait for.
        const onTerm = this.#agent === null ? 'leave' : this.#flags.onTerm;
        this.#obey(onTermSignal(this.#phase, onTerm), name);
      });
    }
    process.on('SIGUSR2', () => {
      this.#obey(onLeaveSignal(this.#phase), 'SIGUSR2');
    });
    // Of who started it, if that keeps a channel open (cli/mesh/agent-starter.ts).
    process.on('disconnect', () => {
      this.#obey(onLeaveSignal(this.#phase), 'the end of its supervisor');
    });
    // A terminal that goes away is no order.
    process.on('SIGHUP', () => undefined);
    process.on('uncaughtException', (error) => {
      this.#onFatal(new MeshError('internal', `a defect ended the agent: ${error.message}`, error));
    });
  }

  #obey({ phase, order }: Meaning, signal: string): void {
    this.#phase = phase;
    switch (order) {
      case 'none':
        return;
      case 'leave':
        this.#ending ??= this.#end(signal).then(() => process.exit(0), fail);
        return;
      case 'drain':
        say(
          `${signal}: draining; a second ${signal} stops what runs, SIGUSR2 leaves it to the next agent`,
        );
        this.#agent?.drain(signal);
        void this.#endWhenDrained(signal).catch((error: unknown) => {
          this.#onFatal(new MeshError('internal', toError(error).message, error));
        });
        return;
      case 'stop':
        say(`second ${signal}: stopping what runs; it is given back, to be run again elsewhere`);
        this.#agent?.stopAttempts(`second ${signal} while draining`);
        return;
    }
  }

  async #endWhenDrained(signal: string): Promise<void> {
    const agent = this.#agent;
    if (agent === null) return;
    await drained(agent, { clock: systemClock, say });
    const left = agent.unproven();
    const error =
      left.length === 0 || this.#phase !== 'stopping'
        ? null
        : new MeshError(
            'stop_open',
            `stopped, but nobody can prove that nothing is left of ${left.join(', ')}: see ${this.#folder.dir}`,
          );
    this.#ending ??= this.#end(signal).then(() => {
      if (error !== null) fail(error);
      say('drained');
      process.exit(0);
    }, fail);
  }

  #onFatal(error: MeshError): void {
    this.#fileLog.error({ err: error }, 'agent must end');
    this.#ending ??= this.#end(error.message).finally(() => {
      fail(error);
    });
  }

  async #end(reason: string): Promise<void> {
    this.#abort.abort();
    await this.#agent?.close(reason);
    await this.#folder.lock.release();
    this.#closeLog();
  }
}

async function main(flags: Flags): Promise<void> {
  const folder = await openStateFolder(flags.state, flags.id);
  const logFile =
    flags.logFile === undefined ? join(folder.dir, 'agent.log') : resolve(flags.logFile);
  await new AgentProcess(flags, folder, logFile).run(logFile);
}

function openLog(file: string, id: string): { log: Log; close: () => void } {
  try {
    return openFileLog(file, { agent: id });
  } catch (error) {
    throw new MeshError(
      'state_unwritable',
      `the log file ${file} cannot be written: ${toError(error).message}`,
      error,
    );
  }
}

function say(line: string): void {
  process.stderr.write(`benchmesh-agent: ${line.replaceAll('\n', ' ')}\n`);
}

/** One line, and the exit status of the error. */
function fail(error: unknown): never {
  say(toError(error).message);
  process.exit(error instanceof MeshError ? error.exit : 1);
}

// Whoever read what it says may be gone; benchmarks go on.
process.stderr.on('error', () => undefined);
main(parseFlags(process.argv)).catch(fail);
