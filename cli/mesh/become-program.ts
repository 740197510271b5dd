/** Runs a program of the mesh in this very process: nothing stands between it and its signals. */
import { pathToFileURL } from 'node:url';
import { programFile, type Program } from './programs.ts';

/** Never resolves: the program ends the process itself. */
export async function becomeProgram(program: Program, args: readonly string[]): Promise<never> {
  const file = programFile(program);
  // What the command line does about a reader that went away is to end: an agent goes on.
  process.stdout.removeAllListeners('error').on('error', () => undefined);
  process.stderr.removeAllListeners('error').on('error', () => undefined);
  process.argv = [process.execPath, file, ...args];
  await import(pathToFileURL(file).href);
  return new Promise(() => undefined);
}
