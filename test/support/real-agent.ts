/** An agent as it is installed, with real processes, on whatever server a test has. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { attemptProcesses } from '#cli/mesh/local-steps.ts';
import { programFile } from '#cli/mesh/programs.ts';
import { isRunning } from './processes.ts';
import { until } from './until.ts';

export interface RealAgentOptions {
  readonly id: string;
  /** Its state is a folder in here. */
  readonly folder: string;
  readonly url: string;
  readonly credentialFile: string;
  readonly slots: number;
  /** `key=value` each. */
  readonly labels?: readonly string[];
}

export interface RealAgent {
  /** Ends it and every process that it has started. */
  close(): Promise<void>;
}

/** It registers by itself, whenever there is a coordinator. */
export function startRealAgent(options: RealAgentOptions): RealAgent {
  const state = join(options.folder, options.id);
  const flags = [
    ...['--id', options.id, '--state', state, '--server', options.url],
    ...['--credential', options.credentialFile, '--slots', String(options.slots)],
    ...(options.labels ?? []).flatMap((label) => ['--label', label]),
  ];
  const child = spawn(process.execPath, [programFile('agent'), ...flags], { stdio: 'inherit' });
  const ended = new Promise((settle) => child.once('exit', settle));
  return {
    close: async () => {
      child.kill('SIGKILL');
      await ended;
      const left = attemptProcesses(state);
      for (const pid of left) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // gone in between
        }
      }
      await until(() => left.every((pid) => !isRunning(pid)), 'its processes to be gone');
    },
  };
}
