/** A step is asked for only once the agent's journal knows of it: else its next life would not (I8). */
import { readdirSync, readFileSync } from 'node:fs';
import { LedgerFold, type AttemptRecord, type LedgerEntry } from '#agent/state/ledger-entries.ts';
import { ROOT } from '../world/disk.ts';
import type { Machine } from '../world/machine.ts';
import type { Step } from '../world/step.ts';

/** Null where that is so. */
export function unknownStep({ id }: Machine, step: Step): string | null {
  const dir = `${ROOT}/${id}/journal`;
  const newest = readdirSync(dir)
    .filter((name) => /^ledger\.\d+$/.test(name))
    .sort((a, b) => Number(a.slice('ledger.'.length)) - Number(b.slice('ledger.'.length)))
    .at(-1);
  const ledger = new LedgerFold();
  for (const line of readFileSync(`${dir}/${newest ?? ''}`, 'utf8').split('\n'))
    if (line !== '') ledger.apply(JSON.parse(line) as LedgerEntry);
  const attempt = [...ledger.attempts.values()].find((one) => isOf(one, step));
  return attempt === undefined || !isAt(attempt, step)
    ? `I8: ${id} asks for ${step.dir}, and its journal does not know`
    : null;
}

function isOf({ spec }: AttemptRecord, step: Step): boolean {
  return spec.run === step.run && spec.task === step.task && spec.n === step.n;
}

function isAt({ spec, state }: AttemptRecord, { dir }: Step): boolean {
  const life = state?.life;
  if (life?.kind !== 'stepping') return false;
  return dir.endsWith(`.step.${spec.steps[life.index]?.id ?? ''}`);
}
