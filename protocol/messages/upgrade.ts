/**
 * Old versions of messages, read for one release after their successor. An entry maps the data of
 * `name` at a version to the data at the next one; pure.
 */
import { CATALOG, type MessageName } from './catalog.ts';

type Step = (data: unknown) => unknown;

/** `upgrades[name][v]` makes version v + 1 out of version v. None yet: every type is at version 1. */
const UPGRADES: Partial<Record<MessageName, Readonly<Record<number, Step>>>> = {};

export type Upgraded = { kind: 'ok'; data: unknown } | { kind: 'unsupported' };

export function upgrade(
  name: MessageName,
  version: number,
  data: unknown,
  table = UPGRADES,
): Upgraded {
  let current = data;
  for (let at = version; at < CATALOG[name].version; at += 1) {
    const step = table[name]?.[at];
    if (step === undefined) return { kind: 'unsupported' };
    current = step(current);
  }
  return { kind: 'ok', data: current };
}
