/** An event on one line: when, its sequence, what, about whom, and what matters of it. Pure. */
import type { EventRecord } from '#protocol/fold/record.ts';
import type { Message } from '#protocol/messages/envelope.ts';
import type { MessageData } from '#protocol/messages/catalog.ts';
import type { ExecEnd } from '#protocol/messages/agent/exec.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { amountsText } from '#protocol/suite/raised-needs.ts';
import type { Style } from './style.ts';
import { oneLine } from './text.ts';

export function eventLine(record: EventRecord, style: Style): string {
  const { sequence, timeMs, message } = record;
  const time = new Date(timeMs).toISOString().slice(11, 23);
  const detail = oneLine(detailOf(message));
  return [
    style.dim(`${time} ${String(sequence).padStart(6)}`),
    style.bold(message.name.padEnd(22)),
    about(record.subject),
    detail,
  ]
    .filter((part) => part !== '')
    .join('  ');
}

function about(subject: string): string {
  const parsed = parseSubject(subject);
  switch (parsed?.kind) {
    case 'attempt':
      return `${attemptKey(parsed.ref)} on ${parsed.agent}`;
    case 'run':
      return parsed.run;
    case 'task':
      return `${parsed.run}/${parsed.task}`;
    case 'host':
    case 'fleet':
    case 'ack':
      return `agent ${parsed.agent}`;
    default:
      return '';
  }
}

function outcomeText(end: { readonly outcome: string; readonly reason: string | null }): string {
  return `${end.outcome}${end.reason === null ? '' : `: ${end.reason}`}`;
}

/** Exit status, signal, or what else ended it. */
export function execEndText({ kind, code, signal }: ExecEnd): string {
  if (kind === 'exited') return `exit status ${code ?? '?'}`;
  return kind === 'signaled' ? `killed by ${signal ?? '?'}` : kind.replaceAll('_', ' ');
}

function retryText({ n, class: failure, delayMs, needs }: MessageData<'task.retrying'>): string {
  const wait = delayMs === undefined ? '' : `, in ${delayMs / 1_000} s`;
  const more = needs === undefined ? '' : `, with ${amountsText(needs)}`;
  return `after attempt ${n}: ${failure}${wait}${more}`;
}

function detailOf(message: Message): string {
  switch (message.name) {
    case 'run.submitted':
      return `${message.data.suite.name}, ${message.data.tasks} tasks, by ${message.data.by}`;
    case 'run.stopping':
    case 'run.task_stopping':
    case 'agent.cordoned':
    case 'agent.uncordoned':
    case 'agent.forgotten':
    case 'run.paused':
    case 'run.task_requeued':
    case 'attempt.stopping':
      return `by ${message.data.by}${message.data.reason === null ? '' : `: ${message.data.reason}`}`;
    case 'run.resumed':
      return `by ${message.data.by}`;
    case 'run.changed': {
      const { priority, maxParallel, by } = message.data;
      const what = [
        ...(priority === undefined ? [] : [`priority ${priority}`]),
        ...(maxParallel === undefined ? [] : [`maxParallel ${maxParallel ?? 'none'}`]),
      ];
      return `${what.join(', ')}, by ${by}`;
    }
    case 'run.noted': {
      const { by, task, text } = message.data;
      return `by ${by}${task === null ? '' : `, of ${task}`}: ${text}`;
    }
    case 'attempt.waiting':
      return message.data.reason;
    case 'run.stop_closed':
      return message.data.result;
    case 'run.cycle_started':
      return `${message.data.cycle}`;
    case 'run.budget_used':
      return `${message.data.budgetMs / 1_000} s: nothing new starts`;
    case 'run.tasks_withdrawn':
      return `${message.data.tasks.length} that never began`;
    case 'run.tasks_ended':
      return `${message.data.tasks.length} ${outcomeText(message.data)}`;
    case 'run.ended':
    case 'task.ended':
    case 'attempt.exited':
      return outcomeText(message.data);
    case 'run.archived':
      return message.data.directory;
    case 'task.retrying':
      return retryText(message.data);
    case 'attempt.step_started':
      return message.data.id;
    case 'attempt.phase':
      return message.data.phase;
    case 'attempt.progress':
      return `${Math.floor(message.data.progress * 100)}%`;
    case 'attempt.file_stored':
      return message.data.file.path;
    case 'attempt.collected':
      return `by ${message.data.by}: ${message.data.files.map(({ path }) => path).join(', ')}`;
    case 'attempt.survivors_gone':
      return message.data.survivors.join(', ');
    case 'attempt.checkpointed':
      return `${message.data.number}: ${message.data.files.map(({ path }) => path).join(', ')}`;
    case 'attempt.resumed': {
      const { from, path, problem } = message.data;
      const place = from === null ? 'nothing' : `attempt ${from.n}, checkpoint ${from.number}`;
      return `with ${place}${path === null ? '' : `: ${path}`}${problem === null ? '' : ` (${problem})`}`;
    }
    case 'attempt.health':
      return `${message.data.rule} ${message.data.state}: ${message.data.reason}`;
    case 'attempt.message':
      return message.data.text;
    case 'attempt.checkpoint_refused':
    case 'attempt.report_malformed':
    case 'message.rejected':
    case 'agent.draining':
    case 'agent.undrained':
    case 'agent.stopping':
      return message.data.reason;
    case 'agent.exec_started':
      return `by ${message.data.by}: ${message.data.argv.join(' ')}`;
    case 'agent.exec_ended': {
      const { by, argv, end } = message.data;
      return `by ${by}: ${argv.join(' ')}: ${execEndText(end)}`;
    }
    case 'agent.exec_refused':
      return `by ${message.data.by}: ${message.data.argv.join(' ')}: ${message.data.reason}`;
    case 'command.received':
      return `${message.data.kind}, ${message.data.attempts} attempts`;
    case 'command.stop_done':
      return `${message.data.attempts.length} attempts`;
    case 'leader.elected':
      return `${message.data.coordinator}, epoch ${message.data.epoch}`;
    default:
      return '';
  }
}
