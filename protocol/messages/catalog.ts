/**
 * Every message type with its version: the one list that encoding, decoding, the committed JSON
 * Schemas and the golden payloads are made from.
 *
 * Within a version only optional fields are added. A change that is more than that gets a new
 * version here plus an `upgrade` from the old one, which is read for one release more.
 */
import type { z } from 'zod';
import * as attempt from './attempt/attempt.ts';
import * as checkpoint from './attempt/checkpoint.ts';
import * as command from './run/command.ts';
import * as exec from './agent/exec.ts';
import * as gang from './attempt/gang.ts';
import * as ranks from './attempt/rank-events.ts';
import * as ramp from './attempt/ramp-events.ts';
import * as health from './attempt/health.ts';
import * as host from './agent/host.ts';
import * as report from './attempt/report.ts';
import * as run from './run/run.ts';
import * as telemetry from './agent/telemetry.ts';

export const CATALOG = {
  'attempt.accepted': { version: 1, schema: attempt.AttemptAccepted },
  'attempt.waiting': { version: 1, schema: attempt.AttemptWaiting },
  'attempt.step_started': { version: 1, schema: attempt.AttemptStepStarted },
  'attempt.phase': { version: 1, schema: attempt.AttemptPhase },
  'attempt.ready': { version: 1, schema: gang.AttemptReady },
  'attempt.progress': { version: 1, schema: attempt.AttemptProgress },
  'attempt.adopted': { version: 1, schema: attempt.AttemptAdopted },
  'attempt.stopping': { version: 1, schema: attempt.AttemptStopping },
  'attempt.file_stored': { version: 1, schema: attempt.AttemptFileStored },
  'attempt.checkpointed': { version: 1, schema: checkpoint.AttemptCheckpointed },
  'attempt.checkpoint_refused': { version: 1, schema: checkpoint.AttemptCheckpointRefused },
  'attempt.resumed': { version: 1, schema: checkpoint.AttemptResumed },
  'attempt.collected': { version: 1, schema: attempt.AttemptCollected },
  'attempt.report_malformed': { version: 1, schema: attempt.AttemptReportMalformed },
  'attempt.message': { version: 1, schema: attempt.AttemptMessage },
  'attempt.health': { version: 1, schema: health.AttemptHealth },
  'attempt.reported': { version: 1, schema: report.AttemptReported },
  'attempt.sampled': { version: 1, schema: telemetry.AttemptSampled },
  'attempt.stage_measured': { version: 1, schema: ramp.AttemptStageMeasured },
  'attempt.exited': { version: 1, schema: attempt.AttemptExited },
  'attempt.survivors_gone': { version: 1, schema: attempt.AttemptSurvivorsGone },
  'run.submitted': { version: 1, schema: run.RunSubmitted },
  'run.started': { version: 1, schema: run.RunStarted },
  'run.stopping': { version: 1, schema: run.RunStopping },
  'run.task_stopping': { version: 1, schema: run.TaskStopping },
  'run.paused': { version: 1, schema: run.RunPaused },
  'run.task_requeued': { version: 1, schema: run.TaskRequeued },
  'run.resumed': { version: 1, schema: run.RunResumed },
  'run.changed': { version: 1, schema: run.RunChanged },
  'run.cycle_started': { version: 1, schema: run.RunCycleStarted },
  'run.budget_used': { version: 1, schema: run.RunBudgetUsed },
  'run.tasks_withdrawn': { version: 1, schema: run.RunTasksWithdrawn },
  'run.noted': { version: 1, schema: run.RunNoted },
  'run.tasks_ended': { version: 1, schema: run.RunTasksEnded },
  'run.stop_closed': { version: 1, schema: run.RunStopClosed },
  'run.ended': { version: 1, schema: run.RunEnded },
  'run.archived': { version: 1, schema: run.RunArchived },
  'task.retrying': { version: 1, schema: run.TaskRetrying },
  'task.barrier_opened': { version: 1, schema: gang.TaskBarrierOpened },
  'task.rank_lost': { version: 1, schema: ranks.TaskRankLost },
  'task.rank_replaced': { version: 1, schema: ranks.TaskRankReplaced },
  'task.stage_opened': { version: 1, schema: ramp.TaskStageOpened },
  'task.ramp_ended': { version: 1, schema: ramp.TaskRampEnded },
  'task.ended': { version: 1, schema: run.TaskEnded },
  'agent.started': { version: 1, schema: host.AgentStarted },
  'agent.changed': { version: 1, schema: host.AgentChanged },
  'agent.draining': { version: 1, schema: host.AgentDraining },
  'agent.undrained': { version: 1, schema: host.AgentUndrained },
  'agent.stopping': { version: 1, schema: host.AgentStopping },
  'agent.exec_started': { version: 1, schema: exec.AgentExecStarted },
  'agent.exec_ended': { version: 1, schema: exec.AgentExecEnded },
  'agent.exec_refused': { version: 1, schema: exec.AgentExecRefused },
  'agent.unreachable': { version: 1, schema: host.AgentUnreachable },
  'agent.returned': { version: 1, schema: host.AgentReturned },
  'agent.cordoned': { version: 1, schema: host.AgentCordoned },
  'agent.uncordoned': { version: 1, schema: host.AgentUncordoned },
  'agent.forgotten': { version: 1, schema: host.AgentForgotten },
  'host.sampled': { version: 1, schema: telemetry.HostSampled },
  'message.rejected': { version: 1, schema: host.MessageRejected },
  'command.received': { version: 1, schema: host.CommandReceived },
  'command.stop_done': { version: 1, schema: host.StopDone },
  'command.revoke_answered': { version: 1, schema: host.RevokeAnswered },
  'leader.elected': { version: 1, schema: host.LeaderElected },
  'command.start': { version: 1, schema: command.StartCommand },
  'command.starts': { version: 1, schema: command.StartsCommand },
  'command.revoke': { version: 1, schema: command.RevokeCommand },
  'command.go': { version: 1, schema: gang.GoCommand },
  'command.peers': { version: 1, schema: ranks.PeersCommand },
  'command.stop': { version: 1, schema: command.StopCommand },
  'command.release': { version: 1, schema: command.ReleaseCommand },
  'command.drain': { version: 1, schema: command.DrainCommand },
  'command.undrain': { version: 1, schema: command.UndrainCommand },
} as const satisfies Record<string, { version: number; schema: z.ZodType }>;

export type MessageName = keyof typeof CATALOG;
export type MessageData<N extends MessageName> = z.infer<(typeof CATALOG)[N]['schema']>;

/** CloudEvents `type`: `benchmesh.attempt.v1.exited`. */
export function typeOf(name: MessageName): string {
  const [noun, verb] = name.split('.') as [string, string];
  return `benchmesh.${noun}.v${CATALOG[name].version}.${verb}`;
}

/** The name and version in a CloudEvents `type`; `name` is null when this program knows none such. */
export function parseType(type: string): { name: MessageName | null; version: number } | null {
  const match = /^benchmesh\.([a-z]+)\.v(\d+)\.([a-z_]+)$/.exec(type);
  if (match === null) return null;
  const name = `${match[1] ?? ''}.${match[3] ?? ''}`;
  return { name: name in CATALOG ? (name as MessageName) : null, version: Number(match[2]) };
}
