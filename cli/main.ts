#!/usr/bin/env node
/** The command line: runs one command, ends with its exit status. */
import { reportOf } from './errors.ts';
import { buildProgram } from './program.ts';

async function main(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', onPipeError);
  process.stderr.on('error', onPipeError);
  try {
    const program = await buildProgram(argv[2]);
    await program.parseAsync([...argv]);
  } catch (error) {
    const { line, exit } = reportOf(error, (process.env['BENCHMESH_DEBUG'] ?? '') !== '');
    if (line !== null) process.stderr.write(`${line}\n`);
    process.exitCode = exit;
  }
  await flushed(process.stdout);
  await flushed(process.stderr);
  process.exit();
}

/** A reader that has seen enough (`| head`) is no error. */
function onPipeError(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit();
  throw error;
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => {
      resolve();
    });
  });
}

await main(process.argv);
