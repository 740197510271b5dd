/** Starts a program of nats-child.ts and collects the lines it prints. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TestServer } from './nats-server.ts';

export interface TestChild {
  readonly lines: string[];
  signal(name: NodeJS.Signals): void;
  /** Kills it if it lives; resolves when it is gone. */
  end(): Promise<void>;
}

export function startChild(
  server: TestServer,
  program: 'outbox' | 'leader',
  argument: string,
): TestChild {
  const file = fileURLToPath(new URL('nats-child.ts', import.meta.url));
  const args = ['--import', 'tsx', file, program, server.url, server.credentialFile, argument];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  let rest = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  const gone = new Promise<void>((resolve) => {
    child.on('close', () => {
      resolve();
    });
  });
  return {
    lines,
    signal: (name) => {
      child.kill(name);
    },
    end: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
