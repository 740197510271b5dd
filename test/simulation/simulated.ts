/** What a simulation is given, and what comes of it. */
import type { Checks } from './checks/checks.ts';
import type { Mesh } from './mesh/mesh.ts';
import type { Fault, Order, Scenario } from './scenarios/scenario.ts';

export interface SimulateOptions {
  /** Instead of that of the seed; with as many messages as it likes. */
  readonly scenario?: Scenario;
  /** Instead of those of the seed. */
  readonly faults?: readonly Fault[];
  readonly orders?: readonly Order[];
  readonly trace?: (line: string) => void;
  /** A planted bug. */
  readonly plant?: (mesh: Mesh) => (() => void) | undefined;
}

export interface Simulated {
  readonly seed: number;
  /** Empty: everything held. */
  readonly violations: readonly string[];
  readonly scenario: Scenario;
  readonly steps: number;
  readonly stored: number;
  readonly begins: number;
  readonly simulatedMs: number;
  /** Views that were compared. */
  readonly compared: number;
  /** How tasks ended, and what further attempts were counted for. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly retries: Readonly<Record<string, number>>;
  /** Attempts whose task went on without them. */
  readonly superseded: number;
  /** Attempts that agents were asked for and gave back. */
  readonly takenBack: number;
  /** Attempts that were ended for a higher priority. */
  readonly preempted: number;
  /** Hosts that the coordinator has cordoned, each time. */
  readonly cordons: number;
}

export function totalsOf({
  runs,
  revoked,
  retries,
  givenBack,
  preempted: { preempted },
}: Checks): Pick<Simulated, 'outcomes' | 'retries' | 'superseded' | 'takenBack' | 'preempted'> {
  const outcomes: Record<string, number> = {};
  for (const { ended } of runs.values())
    for (const outcome of ended.values()) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  const { takenBack } = givenBack;
  return { outcomes, retries: retries.counts(), superseded: revoked.size, takenBack, preempted };
}
