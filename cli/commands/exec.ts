/** `benchmesh exec AGENT -- COMMAND...`: a short command on an agent's host. */
import { constants } from 'node:os';
import type { Command } from 'commander';
import { ExecReply, ExecRequest } from '#protocol/messages/agent/agent-api.ts';
import { EXIT, MeshError } from '#protocol/messages/errors.ts';
import { EXEC_MOST_MS } from '#protocol/messages/agent/exec.ts';
import { isToken } from '#protocol/messages/ids.ts';
import {
  durationOption,
  exitWith,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { openMesh } from '../mesh/find-mesh.ts';
import { operator } from '../mesh/home.ts';
import { plural } from '../output/format.ts';
import { terminal } from '../output/terminal.ts';
import { askAgent } from '../runs/ask-agent.ts';

interface ExecFlags extends MeshFlags, JsonFlag {
  readonly timeout: number;
}

const DEFAULT_MS = 10_000;
/** Beyond its time: it is ended, and what it left is looked for. */
const ANSWER_MORE_MS = 10_000;
/** As a shell has them. */
const NOT_STARTED = 126;
const NOT_FOUND = 127;
const SIGNALED = 128;
const SIGNALS: Readonly<Record<string, number | undefined>> = constants.signals;

export function build(command: Command): void {
  withMesh(withJson(command))
    .argument('<agent>', 'its id')
    .argument('<command...>', 'program and arguments, after --; no shell reads them')
    .addOption(
      durationOption('--timeout <duration>', 'end it after this, up to 60s').default(
        DEFAULT_MS,
        '10s',
      ),
    );
  command.addHelpText(
    'after',
    `
The agent's config decides what it runs (docs/agent.md); by default a few commands that only read.
What was asked, by whom, and what became of it is recorded: benchmesh events. It ends with the exit
status of the command, with 128 and the number of the signal that ended it, with 126 or 127 where it
could not be started, and with 124 where it took too long; 4 means that the agent does not permit it.
Each stream may have 256 KiB. It runs beside the benchmarks of that host, and takes their time.`,
  );
  withExamples(command, [
    'benchmesh exec local-1 -- uname -a',
    'benchmesh exec local-1 --timeout 20s --json -- df -h',
  ]);
  command.action(async (agent: string, argv: string[], flags: ExecFlags) => {
    if (!isToken(agent)) throw new MeshError('not_found', `"${agent}" is no id of an agent`);
    if (flags.timeout > EXEC_MOST_MS || flags.timeout === 0)
      throw new MeshError('usage', '--timeout must be more than 0 and at most 60s');
    const body = { by: operator(), argv, timeoutMs: flags.timeout };
    const request = ExecRequest.safeParse(body);
    if (!request.success)
      throw new MeshError('usage', `the command ${request.error.issues[0]?.message ?? ''}`);
    const mesh = await openMesh(flags, 'exec');
    try {
      const timeoutMs = flags.timeout + ANSWER_MORE_MS;
      const answer = await askAgent(mesh.connection, { agent, verb: 'exec', body, timeoutMs });
      show(ExecReply.parse(answer), { agent, argv, isJson: flags.json === true });
    } finally {
      await mesh.close();
    }
  });
}

function show(
  reply: ExecReply,
  { agent, argv, isJson }: { agent: string; argv: string[]; isJson: boolean },
): void {
  const stdout = Buffer.from(reply.stdout, 'base64');
  const stderr = Buffer.from(reply.stderr, 'base64');
  const { reason, survivors, end } = reply;
  if (isJson) {
    const text = { stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') };
    terminal.printJson('exec', { agent, argv, ...reply, ...text });
  } else {
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    if (reason !== null) terminal.note(`benchmesh: ${agent}: ${reason}`);
    if (survivors.length > 0) {
      const pids = survivors.join(', ');
      terminal.note(
        `benchmesh: ${agent}: ${plural(survivors.length, 'process')} left that no signal ends: ${pids}`,
      );
    }
  }
  exitWith(survivors.length > 0 ? EXIT.stopOpen : statusOf(end));
}

function statusOf({ kind, code, signal }: ExecReply['end']): number {
  switch (kind) {
    case 'exited':
      return code ?? EXIT.failed;
    case 'signaled':
      return SIGNALED + (SIGNALS[signal ?? ''] ?? 0);
    case 'timed_out':
      return EXIT.timedOut;
    case 'too_much_output':
      return EXIT.failed;
    case 'not_found':
      return NOT_FOUND;
    case 'not_started':
      return NOT_STARTED;
  }
}
