/** Between the coordinator's thread and the one that holds its lease. */
import type { LeaseHolder } from '#protocol/nats/leader/lease.ts';
import type { LogFields } from '#protocol/runtime/log.ts';
import type { LeaseMemory } from './shared-lease.ts';

export interface LeaseOrder {
  readonly url: string;
  /** File, or null where the server asks for none. */
  readonly credential: string | null;
  /** In BM_LEASES; null: the leader's. */
  readonly key: string | null;
  readonly holder: string;
  readonly description: string;
  readonly ttlMs: number | null;
  /** Without a sign of the coordinator's thread for so long, the lease is left to expire. */
  readonly stalledMs: number;
  readonly memory: LeaseMemory;
}

export type FromLease =
  | { readonly kind: 'acquired' }
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'standby'; readonly holder: LeaseHolder }
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly fields: LogFields;
      readonly text: string;
    };
