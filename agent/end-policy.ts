/**
 * What a signal means for the agent. Pure.
 *
 *   running --TERM--> draining --TERM--> stopping        SIGUSR2, from anywhere:
 *      \                  \                  \            leaving: ends at once, attempts go on
 *       \ (on-term leave)  +---- all over ----+--> ended
 *        +--> leaving
 *
 * 1. Forward only: a third TERM changes nothing.
 * 2. Leaving is always possible: it is the way out of a drain whose server does not answer.
 */
export type OnTerm = 'drain' | 'leave';
export type Phase = 'running' | 'draining' | 'stopping' | 'leaving';
export type Order = 'none' | 'drain' | 'stop' | 'leave';

export interface Meaning {
  readonly phase: Phase;
  readonly order: Order;
}

/** Of SIGTERM and SIGINT. */
export function onTermSignal(phase: Phase, onTerm: OnTerm): Meaning {
  switch (phase) {
    case 'running':
      return onTerm === 'leave' ? LEAVE : { phase: 'draining', order: 'drain' };
    case 'draining':
      return { phase: 'stopping', order: 'stop' };
    case 'stopping':
    case 'leaving':
      return { phase, order: 'none' };
  }
}

/** Of SIGUSR2. */
export function onLeaveSignal(phase: Phase): Meaning {
  return phase === 'leaving' ? { phase, order: 'none' } : LEAVE;
}

const LEAVE: Meaning = { phase: 'leaving', order: 'leave' };
