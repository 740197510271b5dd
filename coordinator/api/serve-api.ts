/**
 * The leader's answers on `bm.v1.api.*`: `submit`, `resume`, `change`, `note`, `info`, `view`, `drain`, `cordon`,
 * `forget`, `explain`. Requests are checked here; what they mean is the core's. A caller that gets no answer asks
 * again: `submit` is idempotent.
 */
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { addedPriorities } from '#protocol/suite/task-priority.ts';
import { needsHistory } from '#protocol/suite/task-order.ts';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import { runView } from '#protocol/fold/run-view.ts';
import {
  ChangeRequest,
  NoteRequest,
  ResumeRequest,
  SubmitRequest,
  ViewRequest,
  type InfoReply,
} from '#protocol/messages/run/api.ts';
import { DrainRequest, type DrainReply } from '#protocol/messages/agent/drain.ts';
import { ForgetRequest } from '#protocol/messages/agent/forget.ts';
import { ExplainRequest, type ExplainReply } from '#protocol/messages/run/explain.ts';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { serve, type Serving } from '#protocol/nats/rpc.ts';
import type { ApiAnswer, ApiReply, CoreMessage, CoreState } from '../core/core-state.ts';
import { explain } from '../core/explain/explain.ts';
import { liveRuns } from '../core/on-submit.ts';
import type { AgentEntry } from '../fleet/fleet-reducer.ts';
import { inFlight, waitingTasks } from '../scheduler/scheduler-reducer.ts';

export interface ApiEnvironment {
  readonly connection: MeshConnection;
  readonly post: (message: CoreMessage) => void;
  readonly state: () => CoreState;
  readonly isArchived: (run: string) => Promise<boolean>;
  /** The newest finished run of a suite of this name. */
  readonly lastRunOf: (suite: string) => Promise<string | null>;
  readonly about: () => Pick<
    InfoReply,
    'coordinator' | 'epoch' | 'version' | 'pid' | 'host' | 'resultsDir' | 'logFile' | 'notices'
  >;
  /** A request has come: the mesh is not idle. */
  readonly onRequest: () => void;
}

export interface Api {
  answer(token: number, reply: ApiAnswer): void;
  /** Stops serving; what is not answered yet is answered with `no_coordinator`. */
  stop(): void;
}

interface Waiting {
  readonly resolve: (reply: ApiReply) => void;
  readonly reject: (error: MeshError) => void;
}

export function serveApi(env: ApiEnvironment): Api {
  const waiting = new Map<number, Waiting>();
  let tokens = 0;

  /** Asks the core, which answers by the token. */
  const ask = (message: (token: number) => CoreMessage): Promise<ApiReply> => {
    tokens += 1;
    const token = tokens;
    return new Promise((resolve, reject) => {
      waiting.set(token, { resolve, reject });
      env.post(message(token));
    });
  };

  /** Asked once more by a caller that had no answer yet: expanding a million tasks again would delay it further. */
  const isTaken = ({ run }: SubmitRequest): boolean => {
    const { runs, submitting } = env.state();
    return runs.has(run) || submitting.has(run);
  };

  const submit = async (body: unknown): Promise<ApiReply> => {
    env.onRequest();
    const request = parseSubmit(body);
    const isArchived = await env.isArchived(request.run);
    const { order, name } = request.suite;
    const basis = needsHistory(order) ? { basis: await env.lastRunOf(name) } : {};
    const { tasks, priority } = isTaken(request) ? TAKEN : checkSuite(request);
    return ask((token) => ({
      ...{ kind: 'submit', token, request, tasks, priority, isArchived },
      ...basis,
    }));
  };

  const resume = (body: unknown): Promise<ApiReply> => {
    env.onRequest();
    const request = ResumeRequest.safeParse(body);
    if (!request.success) throw new MeshError('usage', 'resume: the request names no run or task');
    return ask((token) => ({ kind: 'resume', token, request: request.data }));
  };

  const change = (body: unknown): Promise<ApiReply> => {
    env.onRequest();
    const request = ChangeRequest.safeParse(body);
    if (!request.success)
      throw new MeshError('usage', 'change: the request names no run, priority or limit');
    return ask((token) => ({ kind: 'change', token, request: request.data }));
  };

  const note = (body: unknown): Promise<ApiReply> => {
    env.onRequest();
    const request = NoteRequest.safeParse(body);
    if (!request.success) throw new MeshError('usage', 'note: the request is malformed');
    return ask((token) => ({ kind: 'note', token, request: request.data }));
  };

  const info = (): InfoReply => {
    env.onRequest();
    const state = env.state();
    return {
      ...env.about(),
      liveRuns: liveRuns(state),
      assigned: inFlight(state.scheduler),
      pending: waitingTasks(state.scheduler),
    };
  };

  const view = (body: unknown): { sequence: number; view: string } => {
    env.onRequest();
    const request = ViewRequest.safeParse(body);
    if (!request.success) throw new MeshError('usage', 'view: the request names no run');
    const fold = env.state().runs.get(request.data.run)?.fold;
    if (fold === undefined) throw new MeshError('not_found', `run ${request.data.run} is not live`);
    return { sequence: fold.sequence, view: canonicalJson(runView(fold)) };
  };

  const joined = (id: string): AgentEntry => {
    const agent = env.state().fleet.agents.get(id);
    if (agent === undefined || agent.registration === null)
      throw new MeshError('not_found', `no agent ${id} has joined: benchmesh agents lists them`);
    return agent;
  };

  /** An order about an agent that has joined. */
  const orderOf = (body: unknown, verb: string): { request: DrainRequest; agent: AgentEntry } => {
    env.onRequest();
    const request = DrainRequest.safeParse(body);
    if (!request.success) throw new MeshError('usage', `${verb}: the request names no agent`);
    return { request: request.data, agent: joined(request.data.agent) };
  };

  const drain = (body: unknown): DrainReply => {
    const { request, agent } = orderOf(body, 'drain');
    env.post({ kind: 'drain', request });
    return { unreachable: agent.unreachable };
  };

  const cordon = (body: unknown): Promise<ApiReply> => {
    const { request } = orderOf(body, 'cordon');
    return ask((token) => ({ kind: 'cordon', token, request }));
  };

  const forget = (body: unknown): Promise<ApiReply> => {
    env.onRequest();
    const request = ForgetRequest.safeParse(body);
    if (!request.success) throw new MeshError('usage', 'forget: the request names no agent');
    joined(request.data.agent);
    return ask((token) => ({ kind: 'forget', token, request: request.data }));
  };

  const why = (body: unknown): ExplainReply => {
    env.onRequest();
    const request = ExplainRequest.safeParse(body);
    if (!request.success)
      throw new MeshError('usage', 'explain: the request names no task and no agent');
    return explain(env.state(), request.data);
  };

  const serving: Serving[] = [
    serve(env.connection, 'submit', submit),
    serve(env.connection, 'resume', async (body) => resume(body)),
    serve(env.connection, 'change', async (body) => change(body)),
    serve(env.connection, 'note', async (body) => note(body)),
    serve(env.connection, 'info', () => Promise.resolve(info())),
    serve(env.connection, 'drain', async (body) => Promise.resolve(drain(body))),
    serve(env.connection, 'cordon', async (body) => cordon(body)),
    serve(env.connection, 'forget', async (body) => forget(body)),
    serve(env.connection, 'explain', async (body) => Promise.resolve(why(body))),
    serve(env.connection, 'view', async (body) => Promise.resolve(view(body))),
  ];

  return {
    answer: (token, reply) => {
      const asked = waiting.get(token);
      waiting.delete(token);
      if (reply.kind === 'ok') asked?.resolve(reply.reply);
      else asked?.reject(new MeshError(reply.code, reply.message));
    },
    stop: () => {
      for (const one of serving) one.stop();
      const error = new MeshError(
        'no_coordinator',
        'this coordinator does not lead any more: ask again',
      );
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    },
  };
}

function parseSubmit(body: unknown): SubmitRequest {
  const parsed = SubmitRequest.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  throw new MeshError('suite_invalid', `submit: ${where}${issue?.message ?? 'invalid'}`);
}

/** Of a run that is taken already nothing of the request counts. */
const TAKEN = { tasks: 0, priority: 0 };

/** Number of tasks, and the highest priority among them. Throws `suite_invalid` or `suite_too_large` for what cannot be run. */
function checkSuite({ run, suite }: SubmitRequest): { tasks: number; priority: number } {
  const tasks = expandTasks(suite);
  const task = tasks[0];
  if (task === undefined) throw new MeshError('suite_invalid', 'the suite has no task');
  try {
    attemptSpec(suite, { run, task, n: 1 });
  } catch (error) {
    throw new MeshError('suite_invalid', toError(error).message, error);
  }
  const added = addedPriorities(suite, tasks)?.reduce(
    (most, one) => Math.max(most, one),
    -Infinity,
  );
  return { tasks: tasks.length, priority: suite.priority + (added ?? 0) };
}
