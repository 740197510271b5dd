/** What agents were asked to give back; the rules are in take-back.ts. */
export interface TakenBack {
  readonly from: string;
  /** Whom it is meant for; null: whoever has room. */
  readonly to: string | null;
}

export interface TakeBacks {
  /** Asked for and not answered, by run and task. */
  readonly open: Map<string, TakenBack>;
  /** How many, by agent. */
  readonly asked: Map<string, number>;
  readonly awaited: Map<string, number>;
  /** Agents with room for what has not waited for long enough. */
  readonly early: Set<string>;
}

export function createTakeBacks(): TakeBacks {
  return { open: new Map(), asked: new Map(), awaited: new Map(), early: new Set() };
}
