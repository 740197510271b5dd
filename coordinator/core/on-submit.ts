/** Submissions: idempotent by run id; answered when `run.submitted` has come back stored. */
import { readOf } from '#protocol/messages/run/starts.ts';
import { parseSubject, subjects } from '#protocol/messages/subjects.ts';
import { isAllPaused } from '../runs/run-reducer.ts';
import type { RunEntry } from '../runs/run-state.ts';
import { abandonStart } from './starts/abandon-start.ts';
import { giveSingly } from './starts/give-starts.ts';
import { unplaceableOf } from './explain/unplaceable.ts';
import {
  log,
  publish,
  type Context,
  type CoreState,
  type PublishEffect,
  type Submit,
} from './core-state.ts';

export function onSubmit(context: Context, submit: Submit): void {
  const { state, effects } = context;
  const { token, request, tasks, priority, isArchived, basis } = submit;
  const known = state.runs.get(request.run);
  if (known !== undefined || isArchived) {
    const reply = {
      run: request.run,
      created: false,
      tasks: known?.listed.length ?? tasks,
      behind:
        known === undefined ? [] : runsBefore(state, known.order, firstPriority(state, known)),
      sequence: known?.order ?? null,
    };
    effects.push({ kind: 'reply', token, reply: { kind: 'ok', reply } });
    return;
  }
  const waiting = state.submitting.get(request.run);
  if (waiting !== undefined) {
    waiting.push(token);
    return;
  }
  const behind = runsBefore(state, Infinity, priority);
  const busy = request.ifBusy === 'reject' ? busyWith(state, request.suite.name) : null;
  if (busy !== null) {
    const message = `${busy}: wait for it, stop it, or submit with --if-busy queue`;
    effects.push({ kind: 'reply', token, reply: { kind: 'error', code: 'busy', message } });
    return;
  }
  state.submitting.set(request.run, [token]);
  const { suite, suiteText, suiteFile, by, labels, retryOf } = request;
  publish(context, {
    subject: subjects.run(request.run),
    name: 'run.submitted',
    data: {
      ...{ suite, suiteText, suiteFile, by, tasks, behind, labels },
      ...(basis === undefined ? {} : { basis }),
      ...(retryOf === undefined ? {} : { retryOf }),
    },
  });
}

/** The run has been stored: whoever submitted it hears so. */
export function answerSubmit(context: Context, run: RunEntry, behind: readonly string[]): void {
  const tokens = context.state.submitting.get(run.id) ?? [];
  context.state.submitting.delete(run.id);
  const unplaceable = tokens.length === 0 ? [] : unplaceableOf(context.state, run);
  for (const [at, token] of tokens.entries()) {
    const reply = {
      run: run.id,
      created: at === 0,
      tasks: run.listed.length,
      behind: [...behind],
      sequence: run.order,
      ...(unplaceable.length === 0 ? {} : { unplaceable }),
    };
    context.effects.push({ kind: 'reply', token, reply: { kind: 'ok', reply } });
  }
}

/** What keeps a run of this suite from having the hosts to itself; null: nothing. */
function busyWith(state: CoreState, suite: string): string | null {
  const holder = holders(state)[0]?.id ?? [...state.submitting.keys()][0];
  if (holder !== undefined) return `run ${holder} holds the hosts`;
  const same = [...state.runs.values()].find(
    (run) => run.ended !== 'stored' && run.suite.name === suite,
  );
  return same === undefined ? null : `run ${same.id} of the suite ${suite} is live, and paused`;
}

/** Live runs that have hosts, or take their turn at them. */
function holders(state: CoreState): RunEntry[] {
  return [...state.runs.values()].filter((run) => run.ended !== 'stored' && !isAllPaused(run));
}

/** Of those the ones whose next task takes its turn before the first one of a run of this order and priority. */
function runsBefore(state: CoreState, order: number, priority: number): string[] {
  return holders(state)
    .filter((run) => {
      const next = firstPriority(state, run);
      return next > priority || (next === priority && run.order < order);
    })
    .map((run) => run.id);
}

/** Of the task of the run that is next in turn. */
function firstPriority(state: CoreState, { id, priority }: RunEntry): number {
  const lanes = state.scheduler.runs.get(id)?.lanes ?? [];
  const waiting = lanes.filter(({ lane }) => lane.waiting.count > 0);
  return waiting.length === 0 ? priority : Math.max(...waiting.map(({ of }) => of.priority));
}

/** Runs that have not ended, as submitted. */
export function liveRuns(state: CoreState): string[] {
  return [...state.runs.values()].filter((run) => run.ended !== 'stored').map((run) => run.id);
}

/** What no stream takes will never come back: its consequence is drawn at once. */
export function onUnstorable(context: Context, effect: PublishEffect, reason: string): void {
  const { state, effects } = context;
  log(
    context,
    'error',
    { subject: effect.subject, name: effect.name, reason },
    'message cannot be stored',
  );
  const owed = state.owed.get(effect.id);
  if (owed !== undefined) {
    state.owed.delete(effect.id);
    const message = `it cannot be stored (${reason})`;
    const reply = { kind: 'error' as const, code: 'usage' as const, message };
    effects.push({ kind: 'reply', token: owed.token, reply });
  }
  if (effect.name === 'run.submitted') {
    const run = effect.subject.slice(subjects.run('').length);
    const message = `the suite of run ${run} is too large to be stored (${reason})`;
    for (const token of state.submitting.get(run) ?? [])
      effects.push({
        kind: 'reply',
        token,
        reply: { kind: 'error', code: 'suite_too_large', message },
      });
    state.submitting.delete(run);
  } else if (effect.name === 'command.start') {
    const { agent } = addresseeOf(effect.subject);
    abandonStart(context, { ...effect.data.spec, agent }, reason);
  } else if (effect.name === 'command.starts') {
    giveSingly(context, addresseeOf(effect.subject), readOf(effect.data));
  }
}

function addresseeOf(subject: string): { readonly agent: string; readonly run: string } {
  const parsed = parseSubject(subject);
  return parsed?.kind === 'command' ? parsed : { agent: '', run: '' };
}
