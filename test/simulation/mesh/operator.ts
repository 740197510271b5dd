/** Whoever submits, stops, pauses and resumes: asks again until it has an answer. */
import type { ApiAnswer, CoreMessage } from '#coordinator/core/core-state.ts';
import { encode } from '#protocol/messages/envelope.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { StopCommand } from '#protocol/messages/run/command.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { Link } from '../world/link.ts';
import { EPOCH_MS } from '../world/machine-globals.ts';
import type { Mesh } from './mesh.ts';
import { newOwner } from '../world/world.ts';

const AGAIN_MS = 1_000;

export class Operator {
  readonly #mesh: Mesh;
  readonly #link: Link;
  #tokens = 0;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
    const owner = newOwner('operator', () => undefined);
    this.#link = new Link(mesh.world, mesh.server, owner, {});
    mesh.links.add(this.#link);
  }

  submit(run: string, suite: SuiteSpec): void {
    const tasks = Object.values(suite.axes).reduce((count, values) => count * values.length, 1);
    const request = {
      run,
      suite,
      suiteText: '',
      suiteFile: null,
      by: 'u@h',
      ifBusy: 'queue' as const,
      labels: {},
    };
    const isArchived = (): boolean => this.#mesh.archived.has(run);
    const { priority } = suite;
    this.#ask((token) => ({
      kind: 'submit',
      ...{ token, request, tasks, priority, isArchived: isArchived() },
    }));
  }

  /** Whatever is refused is said once: it is over, or never was. */
  resume(run: string): void {
    const request = { run, task: null, by: 'u@h' };
    this.#ask((token) => ({ kind: 'resume', token, request }));
  }

  stop(
    id: string,
    stop: Pick<StopCommand, 'run' | 'task' | 'now'> & { readonly isPause: boolean },
  ): void {
    const { isPause, ...target } = stop;
    const data: StopCommand = {
      ...target,
      graceMs: null,
      by: 'u@h',
      reason: null,
      ...(isPause ? { pause: true } : {}),
    };
    const payload = encode({
      name: 'command.stop',
      data,
      id,
      timeMs: EPOCH_MS + this.#mesh.world.nowMs,
      writer: { source: '/operators/u@h' },
    });
    const send = async (): Promise<void> => {
      await this.#link.whenConnected();
      const outcome = await publishEvent(this.#link, subjects.stop(), payload, {
        ttl: 'never',
        timeoutMs: 3_000,
        messageId: id,
      });
      // In doubt it is given again, under the same id.
      if (outcome.kind !== 'stored')
        this.#mesh.world.after(AGAIN_MS, () => void send(), this.#link.owner);
    };
    this.#mesh.world.after(0, () => void send(), this.#link.owner);
  }

  uncordon(agent: string): void {
    const request = { agent, by: 'u@h', reason: null, undo: true };
    this.#ask((token) => ({ kind: 'cordon', token, request }));
  }

  /** Refused while it is there: again until it is not. */
  forget(agent: string): void {
    const request = { agent, by: 'u@h', reason: null, force: false };
    this.#ask((token) => ({ kind: 'forget', token, request }), 'ok');
  }

  /** Said once to whoever leads: it may be lost with its leader. */
  drain(agent: string, undo: boolean): void {
    const { api, world } = this.#mesh;
    if (api === null) return;
    const request = { agent, by: 'u@h', reason: 'r', undo };
    const post = (): void => {
      if (this.#mesh.api === api) api.post({ kind: 'drain', request });
    };
    world.after(1, post, api.owner);
  }

  /** `until`: which answer ends it. */
  #ask(message: (token: number) => CoreMessage, until: 'any' | 'ok' = 'any'): void {
    const { world } = this.#mesh;
    let isAnswered = false;
    const ask = (): void => {
      if (isAnswered) return;
      world.after(AGAIN_MS, ask, null);
      const { api } = this.#mesh;
      if (api?.link.isConnected() !== true) return;
      this.#tokens += 1;
      const token = this.#tokens;
      world.after(
        world.between(0.2, 5),
        () => {
          if (this.#mesh.api !== api) return;
          api.waiting.set(token, (answer: ApiAnswer) => {
            world.trace(
              () =>
                `an answer to request ${token}: ${answer.kind === 'ok' ? 'ok' : answer.message}`,
            );
            isAnswered = until === 'any' || answer.kind === 'ok';
          });
          api.post(message(token));
        },
        api.owner,
      );
    };
    world.after(0, ask, null);
  }
}
