/**
 * Samples as a reader puts them together from messages: each once, in order. An agent that was started
 * again numbers its samples anew; a message that came twice says nothing new. Pure.
 */
import type { Message } from '../messages/envelope.ts';
import type { ReportedSample } from '../messages/attempt/report.ts';
import type { AttemptSample, HostSample } from '../messages/agent/telemetry.ts';

interface Batch<S> {
  readonly first: number;
  readonly samples: readonly S[];
}

/** Of one subject. */
export class SampleCursor {
  #incarnation = -1;
  #next = 0;
  #nextReported = 0;

  /** The samples of the message that are new; none for one of another kind. */
  attempt(message: Message): readonly AttemptSample[] {
    return message.name === 'attempt.sampled' ? this.#new(message.data, message.incarnation) : [];
  }

  /** Numbered by their place in the report: a new incarnation goes on where the one before was. */
  reported({ name, data }: Message): readonly ReportedSample[] {
    if (name !== 'attempt.reported') return [];
    const known = Math.max(0, this.#nextReported - data.first);
    this.#nextReported = Math.max(this.#nextReported, data.first + data.samples.length);
    return data.samples.slice(known);
  }

  host(message: Message): readonly HostSample[] {
    return message.name === 'host.sampled' ? this.#new(message.data, message.incarnation) : [];
  }

  #new<S>({ first, samples }: Batch<S>, incarnation: number | null): readonly S[] {
    const from = incarnation ?? 0;
    if (from < this.#incarnation) return [];
    if (from > this.#incarnation) {
      this.#incarnation = from;
      this.#next = 0;
    }
    const known = Math.max(0, this.#next - first);
    this.#next = Math.max(this.#next, first + samples.length);
    return samples.slice(known);
  }
}
