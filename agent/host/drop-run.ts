/** Drops what the agent keeps of a run that is archived. */
import { toError } from '#protocol/messages/errors.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { Outbox } from '#protocol/nats/outbox/outbox.ts';
import type { AttemptDeps } from '../attempt/attempt-deps.ts';
import { removeTree } from '../state/remove-tree.ts';
import { runDir } from '../state/state-folder.ts';

export interface DropRunOptions {
  readonly deps: Pick<AttemptDeps, 'ledger' | 'agent' | 'stateDir' | 'log'>;
  readonly outbox: Outbox;
  readonly isClosed: () => boolean;
}

/** Journal entries, folders, events in the outbox. Done again if a crash cuts it short. */
export async function dropRun(run: string, options: DropRunOptions): Promise<void> {
  const { ledger, agent, stateDir, log } = options.deps;
  await removeTree(runDir(stateDir, run)).catch((error: unknown) => {
    const { message } = toError(error);
    log.error(
      { run, err: message },
      'the folder of a released run cannot be removed: remove it by hand',
    );
  });
  const acks = (ledger.fold.answered.get(run) ?? []).map((command) => subjects.ack(agent, command));
  const dropped = await options.outbox.drop([attemptEventsOf(agent, run), ...acks]);
  if (options.isClosed()) return;
  if (dropped.kind === 'written') ledger.write({ t: 'dropped', run });
  log.info({ run, dropped: dropped.kind }, 'run released');
}

/** What the subjects of a run's attempts begin with. */
function attemptEventsOf(agent: string, run: string): string {
  const parts = subjects.attemptEvents(agent, { run, task: 'x', n: 1 }).split('.');
  return parts.slice(0, -2).join('.');
}
