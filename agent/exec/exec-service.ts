/**
 * Runs short commands for whoever asks, as far as the agent's policy permits: `benchmesh exec`.
 *
 * 1. Nothing runs that the policy does not permit, and nothing through a shell.
 * 2. What is asked is recorded before it begins, and what became of it after: on the host's subject and
 *    in the agent's log. So is what was refused.
 * 3. It is bounded (I12): some at a time, each within its time and amount of output.
 */
import { ExecRequest, type ExecReply } from '#protocol/messages/agent/agent-api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { isPermitted, rulesFor } from '#protocol/messages/agent/exec-policy.ts';
import { newId } from '#protocol/messages/ids.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { serve, type Serving } from '#protocol/nats/rpc.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { EventSink } from '../state/event-sink.ts';
import { execCommand } from './exec-command.ts';

const AT_A_TIME = 4;

export interface ExecOptions {
  readonly connection: MeshConnection;
  readonly agent: string;
  /** None: nothing is permitted. */
  readonly rules: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly sink: EventSink;
  readonly clock: Clock;
  readonly log: Log;
}

export function serveExec(options: ExecOptions): Serving {
  const { connection, agent } = options;
  const abort = new AbortController();
  let running = 0;
  const serving = serve(connection, `${agent}.exec`, async (body) => {
    const request = ExecRequest.safeParse(body);
    if (!request.success) {
      const reason = request.error.issues[0]?.message ?? 'malformed';
      throw new MeshError('usage', `this is no command to run: ${reason}`);
    }
    permit(options, request.data);
    if (running >= AT_A_TIME)
      throw new MeshError('busy', `agent ${agent} runs ${AT_A_TIME} commands already: ask again`);
    running += 1;
    try {
      return await run(options, request.data, abort.signal);
    } finally {
      running -= 1;
    }
  });
  return {
    stop: () => {
      serving.stop();
      abort.abort();
    },
  };
}

function permit({ agent, rules, sink, log }: ExecOptions, { by, argv }: ExecRequest): void {
  if (isPermitted(rules, argv)) return;
  const similar = rulesFor(rules, argv[0] ?? '');
  const permitted =
    rules.length === 0
      ? 'it runs no commands'
      : `it permits ${similar.length > 0 ? `"${similar.join('", "')}"` : 'others, see its config'}`;
  const reason = `agent ${agent} does not permit this command: ${permitted}`;
  log.warn({ by, argv }, 'command refused');
  sink.tell(subjects.hostEvents(agent), 'agent.exec_refused', { by, argv, reason });
  throw new MeshError('not_permitted', reason);
}

async function run(
  { agent, env, sink, clock, log }: ExecOptions,
  { by, argv, timeoutMs }: ExecRequest,
  signal: AbortSignal,
): Promise<ExecReply> {
  const id = newId();
  const subject = subjects.hostEvents(agent);
  log.info({ id, by, argv }, 'command started');
  sink.tell(subject, 'agent.exec_started', { id, by, argv });
  const startedMs = clock.now().monotonicMs;
  const outcome = await execCommand({ id, argv, timeoutMs, env, signal });
  const { end, reason, stdout, stderr } = outcome;
  const survivors = [...outcome.survivors];
  const durationMs = Math.round(clock.now().monotonicMs - startedMs);
  log.info({ id, end, durationMs, survivors }, 'command ended');
  sink.tell(subject, 'agent.exec_ended', {
    id,
    by,
    argv,
    end,
    durationMs,
    stdoutBytes: stdout.length,
    stderrBytes: stderr.length,
    survivors,
  });
  return {
    id,
    end,
    reason,
    stdout: stdout.toString('base64'),
    stderr: stderr.toString('base64'),
    durationMs,
    survivors,
  };
}
