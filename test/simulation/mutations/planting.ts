/** What bugs are planted with: messages changed on their way, methods of the real code replaced for a while. */
import { CommandIntake } from '#agent/host/command-intake.ts';
import { EventSink } from '#agent/state/event-sink.ts';
import { type NumberedEvent } from '#agent/state/ledger-entries.ts';
import { typeOf, type MessageName } from '#protocol/messages/catalog.ts';
import { SERVER_HEADERS } from '#protocol/nats/headers.ts';
import type { RequestOutcome } from '#protocol/nats/connection.ts';
import type { Request } from '../world/link.ts';
import type { Mesh } from '../mesh/mesh.ts';
import type { Stored } from '../world/server.ts';

export interface Mutation {
  readonly name: string;
  readonly what: string;
  readonly plant: (mesh: Mesh) => (() => void) | undefined;
}

type Plant = Mutation['plant'];

export function mutation(name: string, what: string, plant: (mesh: Mesh) => unknown): Mutation {
  return { name, what, plant: plant as Plant };
}

export const PRETENDED: RequestOutcome = {
  kind: 'reply',
  message: { data: Buffer.from('{"stream":"BM_EVENTS","seq":1}') } as never,
};

/** The word that a task goes on without an attempt whose host is lost. */
export function isSuperseding(message: Stored): boolean {
  return isOf(message, 'task.retrying') && Buffer.from(message.data).includes('"superseded":true');
}

export function isOf({ data }: Pick<Request | Stored, 'data'>, name: MessageName): boolean {
  return Buffer.from(data).includes(`"type":"${typeOf(name)}"`);
}

/** Without what the server is to expect. */
export function unexpected(request: Request): Request {
  return { ...request, options: { ...request.options, headers: ownHeaders(request) } };
}

export function ownHeaders({ options }: Request): Record<string, string> {
  const {
    expectedLastSubjectSequence: last,
    expectedLastSubjectSequenceSubject: of,
    messageId,
  } = SERVER_HEADERS;
  return Object.fromEntries(
    Object.entries(options.headers ?? {}).filter(
      ([name]) => ![last, of, messageId].includes(name as never),
    ),
  );
}

export function replaced(data: Uint8Array, text: string, by: string): Uint8Array {
  return Buffer.from(Buffer.from(data).toString().replace(text, by));
}

export function changed(event: NumberedEvent, change: object): NumberedEvent {
  return { ...event, data: { ...event.data, ...change } };
}

/** Of an agent's events on their way from its ledger to its outbox. */
export function events(change: (event: NumberedEvent) => NumberedEvent | null): () => void {
  const publish = Reflect.get(EventSink.prototype, 'publish');
  return patch(
    EventSink.prototype,
    'publish',
    function published(this: EventSink, event: NumberedEvent) {
      const given = change(event);
      if (given !== null) publish.call(this, given);
    },
  );
}

/** Of commands on their way to an agent's ledger. */
export function mails(change: (text: string, sequence: number) => string): () => void {
  const onMail = Reflect.get(CommandIntake.prototype, 'onMail');
  return patch(
    CommandIntake.prototype,
    'onMail',
    function mailed(this: CommandIntake, mail: Parameters<CommandIntake['onMail']>[0]) {
      return onMail.call(this, {
        ...mail,
        data: Buffer.from(change(Buffer.from(mail.data).toString(), mail.sequence)),
      });
    },
  );
}

export function patch<T extends object>(
  prototype: T,
  name: keyof T & string,
  fake: unknown,
): () => void {
  const real = prototype[name];
  Object.assign(prototype, { [name]: fake });
  return () => {
    Object.assign(prototype, { [name]: real });
  };
}
