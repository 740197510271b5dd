/** What the bench and its processes of simulated agents say to each other. */

/** Argument of an agents process, as JSON. */
export interface AgentsOrder {
  readonly url: string;
  readonly credentialFile: string;
  readonly ids: readonly string[];
  readonly slots: number;
}

export type AgentsQuestion = 'report' | 'end';

export interface AgentsReport {
  readonly kind: 'report';
  /** Keys of attempts in the order they began; a key that stands twice ran twice (I4). */
  readonly begun: readonly string[];
  /** When each start came, by `sharedNowMs`. */
  readonly startsMs: Float64Array;
  /** Of `SlotTimes`. */
  readonly times: Float64Array;
}

export type AgentsAnswer =
  { readonly kind: 'ready' } | { readonly kind: 'broken'; readonly error: string } | AgentsReport;
