/** The host's actor told one message after the other, and what it answers, in short. */
import { updateHost } from '#agent/host/host-reducer.ts';
import {
  newHost,
  type HostEffect,
  type HostMessage,
  type HostState,
} from '#agent/host/host-state.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import { specOf } from './attempt-cases.ts';

export const RUN = '2026-01-02_03-04-05-aaaa';
export const NOW = { wallMs: 0, monotonicMs: 0 };

export const key = (task: string): string => `${RUN}/${task}#1`;

export function start(
  task: string,
  sequence: number,
  change: { needs?: Partial<Needs>; afterStop?: number; priority?: number; era?: number } = {},
): HostMessage {
  const needs = { slots: 1, cpus: 0, exclusive: false, ...change.needs };
  const spec = specOf(['run'], { run: RUN, task, needs });
  const { afterStop = 0, priority = 0, era = 0 } = change;
  return { kind: 'start', command: `c-${task}`, era, sequence, spec, afterStop, priority };
}

export function stop(
  command: string,
  sequence: number,
  task: string | null = null,
  era = 0,
): HostMessage {
  const order = { run: RUN, task, graceMs: null, now: false, by: 'x', reason: null };
  return { kind: 'stop', command, era, sequence, stop: order };
}

export const ended = (task: string, survivors: number[] = []): HostMessage => ({
  kind: 'ended',
  key: key(task),
  end: {
    commands: [],
    stopped: {
      run: RUN,
      task,
      n: 1,
      processes: 0,
      signal: null,
      goneMs: 0,
      proof: 'subreaper',
      proven: survivors.length === 0,
      survivors,
    },
  },
});

export function play(
  messages: readonly HostMessage[],
  initial = newHost(2, 4),
): { state: HostState; effects: HostEffect[] } {
  let state = initial;
  const all: HostEffect[] = [];
  for (const message of messages) {
    const [next, effects] = updateHost(state, message, NOW);
    state = next;
    all.push(...effects);
  }
  return { state, effects: all };
}

/** Effects in short: `begin t1`. */
export const short = (effects: readonly HostEffect[]): string[] =>
  effects.map((effect) => {
    if ('key' in effect) return `${effect.kind} ${effect.key.slice(RUN.length + 1, -2)}`;
    return 'command' in effect ? `${effect.kind} ${effect.command}` : effect.kind;
  });
