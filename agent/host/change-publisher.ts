/**
 * Says what the host is, while the agent runs: an event on the host's own subject, and the registry's value
 * brought up to it. One update of the registry at a time; changes that come meanwhile go with the next.
 *
 *   the host changed           --> agent.changed, registered
 *   the mesh has forgotten it  --> registered as the host is now, agent.started
 */
import { MeshError, toError } from '#protocol/messages/errors.ts';
import type { Hardware } from '#protocol/messages/agent/hardware.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { EventSink } from '../state/event-sink.ts';
import { register } from './presence.ts';

export interface ChangePublisherOptions {
  readonly connection: MeshConnection;
  /** As registered at the start. */
  readonly registration: Registration;
  readonly sink: EventSink;
  readonly log: Log;
}

export class ChangePublisher {
  readonly #options: ChangePublisherOptions;
  /** As the host is now. */
  #newest: Registration;
  #waiting: Registration | null = null;
  #isUpdating = false;
  #isClosed = false;

  constructor(options: ChangePublisherOptions) {
    this.#options = options;
    this.#newest = options.registration;
  }

  publish(hardware: Hardware, changes: readonly string[]): void {
    if (this.#isClosed) return;
    const { sink, log } = this.#options;
    const registration = { ...this.#options.registration, hardware };
    this.#newest = registration;
    log.info({ changes }, 'the host has changed');
    const data = { registration, changes: [...changes] };
    sink.tell(subjects.hostEvents(registration.agent), 'agent.changed', data);
    this.#waiting = registration;
    void this.#update();
  }

  /** Registers once more. Its word on its subject went with the rest: `adopted` attempts are its own. */
  enrolAnew(adopted: number): void {
    if (this.#isClosed) return;
    const registration = this.#newest;
    const { sink } = this.#options;
    sink.tell(subjects.hostEvents(registration.agent), 'agent.started', { registration, adopted });
    this.#waiting = registration;
    void this.#update();
  }

  close(): void {
    this.#isClosed = true;
  }

  async #update(): Promise<void> {
    if (this.#isUpdating) return;
    this.#isUpdating = true;
    while (this.#waiting !== null && !this.#isClosed) {
      const registration = this.#waiting;
      this.#waiting = null;
      await register(this.#options.connection, registration).catch((error: unknown) => {
        this.#onRefused(error);
      });
    }
    this.#isUpdating = false;
  }

  /** The event says it all the same; the next start registers anew. */
  #onRefused(error: unknown): void {
    if (this.#isClosed) return;
    const code = error instanceof MeshError ? error.code : null;
    this.#options.log.warn({ err: toError(error), code }, 'the registration could not be updated');
  }
}
