/** `benchmesh get RUN/TASK[/N] PATH`: a file of an attempt, while it runs or of what was kept. */
import { createHash } from 'node:crypto';
import { chmod, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import { withExamples, withMesh, withRank, type MeshFlags, type RankFlag } from '../command.ts';
import { terminal } from '../output/terminal.ts';
import { attemptOf } from '../runs/find-attempt.ts';
import { readRun, withRun } from '../runs/find-run.ts';
import { parseTarget } from '../runs/match.ts';
import { keptFile, liveFile } from '../runs/work-file.ts';

interface GetFlags extends MeshFlags, RankFlag {
  readonly output?: string;
  readonly json?: boolean;
}

export function build(command: Command): void {
  withRank(
    withMesh(
      command
        .argument('<run/task[/n]>', 'id, a unique part of it, or latest')
        .argument('<path>', 'relative to the work folder'),
    ),
    'rank 0',
  )
    .option('-o, --output <file>', 'write it there instead of to standard output')
    .option('--json', 'what it is, as one versioned JSON value; needs --output');
  command.addHelpText(
    'after',
    `
While the run is live the file is read on its host, as it is at that moment. Of a finished run there
are the result files and the last checkpoint. Nothing outside the work folder is read, and links are
not followed.`,
  );
  withExamples(command, [
    'benchmesh get k3f9/d2xq result.json',
    'benchmesh get k3f9/d2xq/1 result.json > result.json',
  ]);
  command.action(async (text: string, path: string, flags: GetFlags) => {
    if (flags.json === true && flags.output === undefined)
      throw new MeshError('usage', '--json says what was written: give --output too');
    const asked = parseTarget(text);
    await withRun(flags, asked.run, async (found) => {
      const fold = await readRun(found);
      const isGang = attemptOf(fold, asked).attempt.gang !== undefined;
      const rank = flags.rank ?? (isGang ? 0 : undefined);
      const { ref, attempt } = attemptOf(fold, { ...asked, rank });
      const content =
        found.kind === 'archived'
          ? keptFile(found.directory, { ref, path })
          : liveFile(found.mesh.connection, attempt.agent, { ref, path });
      if (flags.output === undefined) {
        for await (const chunk of content) await print(chunk);
        return;
      }
      const output = resolve(flags.output);
      const facts = await save(output, content);
      if (flags.json === true) terminal.printJson('file', { ...ref, path, output, ...facts });
      else terminal.note(`${output}: ${facts.bytes} bytes`);
    });
  });
}

function print(chunk: Uint8Array): Promise<void> {
  return new Promise((done, fail) => {
    process.stdout.write(chunk, (error) => {
      if (error === null || error === undefined) done();
      else fail(error);
    });
  });
}

/**
 * Whole, or not at all: what was there before stays until all has come. What is no regular file (a
 * FIFO, /dev/stdout) is written to as it comes.
 */
async function save(
  output: string,
  content: AsyncIterable<Uint8Array>,
): Promise<{ bytes: number; sha256: string }> {
  const before = await stat(output).catch(() => null);
  if (before !== null && !before.isFile()) return written(output, content);
  const target = before === null ? output : await realpath(output);
  const part = `${target}.${process.pid}.part`;
  try {
    const facts = await written(part, content);
    if (before !== null) await chmod(part, before.mode);
    await rename(part, target);
    return facts;
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function written(
  output: string,
  content: AsyncIterable<Uint8Array>,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(output, 'w').catch((error: unknown) => {
    throw new MeshError('usage', `${output}: ${toError(error).message}`, error);
  });
  try {
    for await (const chunk of content) {
      hash.update(chunk);
      bytes += chunk.length;
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}
