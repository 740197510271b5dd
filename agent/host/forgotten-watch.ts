/**
 * Whether the mesh has forgotten this agent while it was cut off or stood still: it enrols anew then, as a
 * start of it would, and so comes by the revokes of what it still runs (I5).
 *
 *   mailbox missing, link back --> who holds the id? --> nobody: enrol anew
 *                                        \--> another state folder: this process must end (I1)
 *
 * One that is forgotten while it is there (`--force`) has its mailbox, and stays forgotten until it is cut off
 * or ends.
 */
import { MeshError } from '#protocol/messages/errors.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { holderOf, type IdHolder } from '#protocol/nats/agents/registry.ts';
import type { ChangePublisher } from './change-publisher.ts';
import type { Host } from './host.ts';

export interface ForgottenWatchOptions {
  readonly connection: MeshConnection;
  readonly registration: Pick<Registration, 'agent' | 'instance'>;
  readonly host: Pick<Host, 'counts' | 'isDraining' | 'sayDraining'>;
  readonly changes: Pick<ChangePublisher, 'enrolAnew'>;
  readonly onFatal: (error: MeshError) => void;
}

export class ForgottenWatch {
  readonly #options: ForgottenWatchOptions;
  readonly #ignoreLink: () => void;
  #isLooking = false;
  #isClosed = false;

  constructor(options: ForgottenWatchOptions) {
    this.#options = options;
    this.#ignoreLink = options.connection.onStatus((status) => {
      if (status === 'reconnected') void this.look();
    });
  }

  /** One look at a time; where there is no answer, the next look asks again. */
  async look(): Promise<void> {
    if (this.#isLooking || this.#isClosed) return;
    this.#isLooking = true;
    const { connection, registration } = this.#options;
    const holder = await holderOf(connection, registration.agent);
    this.#isLooking = false;
    if (!this.#closed()) this.#onHolder(holder);
  }

  close(): void {
    this.#isClosed = true;
    this.#ignoreLink();
  }

  /** It may have changed while something was awaited. */
  #closed(): boolean {
    return this.#isClosed;
  }

  #onHolder(holder: IdHolder): void {
    const { connection, registration, host, changes, onFatal } = this.#options;
    const { agent, instance } = registration;
    if (holder.kind === 'free') {
      connection.log.warn({ agent }, 'the mesh has forgotten this agent, enrolling anew');
      changes.enrolAnew(host.counts().running);
      if (host.isDraining()) host.sayDraining('drained before it enrolled anew');
    }
    if (holder.kind === 'held' && holder.instance !== instance) {
      const message = `agent id ${agent} belongs to another state folder by now (instance ${holder.instance}, this one is ${instance})`;
      onFatal(new MeshError('agent_id_taken', message));
    }
  }
}
