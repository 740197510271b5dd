/**
 * The mailbox actor: one message at a time, run to completion, in the order of arrival.
 *
 *   post(message) -> [mailbox] -> update(state, message, now) -> [state, effects] -> perform(effect)
 *                        ^                                                                |
 *                        +------------------------- messages -----------------------------+
 *
 * `update` is pure: no I/O, no clock, no randomness. `perform` does the I/O of one effect and
 * answers, if at all, by posting messages. Nothing else may touch the state, so a whole mesh of
 * actors can be run from a seed.
 */
import type { Clock, Now } from './clock.ts';

export type Update<State, Message, Effect> = (
  state: State,
  message: Message,
  now: Now,
) => readonly [State, readonly Effect[]];

export interface Actor<State, Message> {
  /** Queues a message; never runs `update` inside the caller's own update. */
  post(message: Message): void;
  /** The state after the last message handled. For reading only. */
  state(): State;
  /** Drops what is queued and ignores what still comes. */
  close(): void;
}

export interface ActorOptions<State, Message, Effect> {
  readonly initial: State;
  readonly update: Update<State, Message, Effect>;
  /** Does the I/O; must not throw (a throw is a bug and goes to `onBug`). */
  readonly perform: (effect: Effect, post: (message: Message) => void) => void;
  readonly clock: Clock;
  /** A bug in update or perform: the owner ends the process, it is never swallowed. */
  readonly onBug: (error: unknown) => void;
}

export function startActor<State, Message, Effect>(
  options: ActorOptions<State, Message, Effect>,
): Actor<State, Message> {
  const { update, perform, clock, onBug } = options;
  let state = options.initial;
  let queue: Message[] = [];
  let running = false;
  let closed = false;

  const post = (message: Message): void => {
    if (closed) return;
    queue.push(message);
    if (!running) drain();
  };

  function drain(): void {
    running = true;
    try {
      while (queue.length > 0) {
        const batch = queue;
        queue = [];
        for (const message of batch) {
          const [next, effects] = update(state, message, clock.now());
          state = next;
          for (const effect of effects) perform(effect, post);
        }
      }
    } catch (error) {
      closed = true;
      queue = [];
      onBug(error);
    } finally {
      running = false;
    }
  }

  return {
    post,
    state: () => state,
    close: () => {
      closed = true;
      queue = [];
    },
  };
}
