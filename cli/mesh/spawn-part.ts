/**
 * Starts a part of the local mesh: in a session of its own, so that a Ctrl-C in the terminal does
 * not reach it (facts section 6), with what it prints appended to a file.
 */
import { spawn } from 'node:child_process';
import { open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MeshError } from '#protocol/messages/errors.ts';
import { identityOf } from '#protocol/runtime/process-identity.ts';
import { makeFolder } from '#protocol/runtime/make-folder.ts';

export interface SpawnedPart {
  readonly pid: number;
  readonly startTime: string;
  /** Why it has ended already, in its own last words; null while it lives. */
  failure(): Promise<string | null>;
}

export interface PartCommand {
  readonly name: string;
  readonly script: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Gets stdout and stderr. */
  readonly outputFile: string;
}

/**
 * A part runs for weeks beside benchmarks: a small young generation costs a little CPU in bursts and
 * saves some 20 MiB a process at rest, measured after 2,000 tasks.
 */
export const NODE_FLAGS = ['--max-semi-space-size=2'];

/** Rejects with MeshError `start_failed` where the process cannot even be made. */
export async function spawnPart(command: PartCommand): Promise<SpawnedPart> {
  const { name, script, args, cwd, outputFile } = command;
  await makeFolder(dirname(outputFile), 0o700);
  const from = await sizeOf(outputFile);
  const output = await open(outputFile, 'a', 0o600);
  const state: { end: string | null } = { end: null };
  try {
    const child = spawn(process.execPath, [...NODE_FLAGS, script, ...args], {
      detached: true,
      cwd,
      stdio: ['ignore', output.fd, output.fd],
    });
    child.on('error', (error) => {
      state.end = error.message;
    });
    child.on('exit', (code, signal) => {
      state.end ??= signal === null ? `exit status ${code ?? 'unknown'}` : `signal ${signal}`;
    });
    child.unref();
    const { pid } = child;
    if (pid === undefined) {
      await new Promise(setImmediate);
      throw new MeshError(
        'start_failed',
        `the ${name} did not start: ${state.end ?? 'no process'}`,
      );
    }
    return {
      pid,
      startTime: identityOf(pid)?.startTime ?? '',
      failure: async () => {
        const { end } = state;
        if (end === null) return null;
        const words = await lastLine(outputFile, from);
        return words === '' ? `the ${name} ended (${end}); see ${outputFile}` : words;
      },
    };
  } finally {
    await output.close();
  }
}

async function lastLine(file: string, from: number): Promise<string> {
  const text = (await readFile(file).catch(() => Buffer.alloc(0))).subarray(from).toString('utf8');
  return text.trim().split('\n').at(-1)?.trim() ?? '';
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => ({ size: 0 }))).size;
}
