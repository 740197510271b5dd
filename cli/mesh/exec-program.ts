/** Runs a program of the mesh in the foreground, as if it had been called itself. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { MeshError } from '#protocol/messages/errors.ts';
import { programFile, type Program } from './programs.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves with its exit status; signals to this process reach it. */
export async function execProgram(program: Program, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [programFile(program), ...args], { stdio: 'inherit' });
  const forward = SIGNALS.map((name) => {
    const onSignal = (): void => {
      // A terminal's Ctrl-C reaches the child by itself: it ends once, however often it is told.
      child.kill(name);
    };
    process.on(name, onSignal);
    return () => process.off(name, onSignal);
  });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', (error) => {
        reject(
          new MeshError('start_failed', `the ${program} did not start: ${error.message}`, error),
        );
      });
      child.on('exit', (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    for (const off of forward) off();
  }
}
