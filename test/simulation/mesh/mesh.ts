/** What the parts of one simulated mesh share. */
import type { ApiAnswer, CoreMessage, CoreState } from '#coordinator/core/core-state.ts';
import type { Adoption } from '#agent/process/types.ts';
import type { Link, LinkTaps } from '../world/link.ts';
import type { SimServer } from '../world/server.ts';
import type { SimSnapshots } from './sim-snapshots.ts';
import type { TailTaps } from '../world/tails.ts';
import type { Owner, World } from '../world/world.ts';

export interface Taps extends LinkTaps, TailTaps {
  /** A planted bug's way to change what an agent finds of a step. */
  onAdopt?: (found: Adoption) => Adoption;
}

/** What the leader serves, as long as it does. */
export interface ServedApi {
  readonly owner: Owner;
  readonly link: Link;
  readonly post: (message: CoreMessage) => void;
  readonly state: () => CoreState;
  readonly waiting: Map<number, (answer: ApiAnswer) => void>;
}

export interface Mesh {
  readonly world: World;
  readonly server: SimServer;
  readonly taps: Taps;
  readonly links: Set<Link>;
  readonly beats: { readonly listeners: Set<(agent: string, body: Uint8Array) => void> };
  /** Runs whose directory is there. */
  readonly archived: Set<string>;
  readonly snapshots: SimSnapshots;
  api: ServedApi | null;
  /** A defect that a living process has met. */
  readonly onBug: (owner: Owner, error: unknown) => void;
  readonly onArchived: (run: string, state: CoreState) => void;
}
