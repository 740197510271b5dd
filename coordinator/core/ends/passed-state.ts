/** Tasks that passed and are about to be said to have ended; the rules are in passed.ts. */
export interface PassedState {
  /** Ids of tasks, by run. */
  readonly waiting: Map<string, string[]>;
  saidMs: number;
  isDue: boolean;
}

export function createPassed(): PassedState {
  return { waiting: new Map(), saidMs: Number.NEGATIVE_INFINITY, isDue: false };
}
