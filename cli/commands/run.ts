/** `benchmesh run FILE`: submits a suite, shows it run, ends with its results. */
import { Option, type Command } from 'commander';
import { isRunId } from '#protocol/messages/ids.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import {
  collect,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { operator } from '../mesh/home.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun } from '../runs/find-run.ts';
import { readSuite, type SuiteFlags } from '../runs/read-suite.ts';
import { attendSubmitted, ensureMesh } from '../runs/start-run.ts';
import { submit } from '../runs/submit.ts';

export interface RunFlags extends MeshFlags, JsonFlag, SuiteFlags {
  readonly detach?: boolean;
  readonly ifBusy: 'queue' | 'reject';
  readonly id?: string;
  readonly label: readonly string[];
}

export function withSuite(command: Command): Command {
  return command
    .argument('<file>', 'the suite; - reads standard input')
    .option('--set <key=value>', 'set a key or a var of the suite; repeatable', collect, [])
    .option('--only <axis=value>', 'only cells with this value; repeatable', collect, [])
    .option('--profile <name>', 'use a profile of the suite');
}

export function build(command: Command): void {
  withMesh(withJson(withSuite(command)))
    .option('--detach', 'print the id of the run and return')
    .addOption(
      new Option(
        '--if-busy <what>',
        'when others have the hosts, or a run of the same suite is live: wait behind, or end with status 6',
      )
        .choices(['queue', 'reject'])
        .default('queue'),
    )
    .option('--id <run>', 'the id of the run: the same submit repeated is one run')
    .addOption(runLabelOption('recorded with the run'));
  command.addHelpText(
    'after',
    `
Without --server, BENCHMESH_SERVER or a local mesh that is up, starts one, which ends by itself
after a minute without work. Ctrl-C stops the run and waits for the proof; a second Ctrl-C leaves
the run to the mesh. Ends with 0 when every task passed, 3 when one failed, 1 when somebody
stopped the run or its directory could not be made (a full disk).`,
  );
  withExamples(command, [
    'benchmesh run examples/openssl-speed.yaml',
    'benchmesh run suite.yaml --profile quick --only algorithm=sha256 --set repeats=5 --detach',
  ]);
  command.action(async (file: string, flags: RunFlags) => {
    if (flags.id !== undefined && !isRunId(flags.id))
      throw new MeshError(
        'usage',
        `--id "${flags.id}" must look like 2026-02-13_14-30-45-k3f9, a time that exists`,
      );
    const labels = labelsOf(flags.label);
    const { suite, text, file: suiteFile } = await readSuite(file, flags);
    const mesh = await ensureMesh(flags);
    try {
      const reply = await submit(mesh.connection, {
        run: flags.id ?? null,
        suite,
        suiteText: text,
        suiteFile,
        by: operator(),
        ifBusy: flags.ifBusy,
        labels,
      });
      if (reply.behind.length > 0) terminal.note(`queued behind ${reply.behind.join(', ')}`);
      if (!reply.created) {
        await refuseOther(flags, reply.run, suite);
        // Without --id it was this very submit, answered when it was asked once more.
        if (flags.id !== undefined) terminal.note(`run ${reply.run} was submitted before`);
      }
      await attendSubmitted(mesh, reply, flags);
    } finally {
      await mesh.close();
    }
  });
}

/** An id stands for one suite: a submit repeated is that run, another suite is a mistake. */
async function refuseOther(flags: RunFlags, run: string, suite: SuiteSpec): Promise<void> {
  const before = await withRun(flags, run, async (found) => (await readRun(found)).submitted);
  if (before === null || canonicalJson(before.suite) === canonicalJson(suite)) return;
  throw new MeshError(
    'usage',
    `run ${run} was submitted before with another suite (or other --set, --only, --profile): leave out --id, or choose another`,
  );
}

/** `--label key=value` of a run, several times. */
export function runLabelOption(description: string): Option {
  return new Option('--label <key=value>', `${description}; repeatable`)
    .argParser(collect)
    .default([]);
}

/** `key=value` each. Pure. */
export function labelsOf(texts: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at < 1) throw new MeshError('usage', `--label "${text}" must be key=value`);
    if (text.startsWith('__proto__='))
      throw new MeshError('usage', '--label "__proto__" cannot be a name');
    const key = text.slice(0, at);
    if (Object.hasOwn(labels, key)) throw new MeshError('usage', `--label "${key}" is given twice`);
    labels[key] = text.slice(at + 1);
  }
  return labels;
}
