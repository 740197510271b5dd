import { describe, expect, it } from 'vitest';
import {
  ackLine,
  exitOf,
  idleLine,
  openLine,
  staysPaused,
  staysPausedLine,
  verdictLine,
} from '#cli/stop/stop-text.ts';
import { addPause, addResume, createPauses } from '#protocol/fold/pauses.ts';
import type { AgentStopView, StopVerdict, StopView } from '#protocol/fold/stop-fold.ts';
import type { StoppedAttempt } from '#protocol/messages/agent/host.ts';

const attempt: StoppedAttempt = {
  run: 'r',
  task: 't1',
  n: 1,
  processes: 14,
  signal: 'SIGTERM',
  goneMs: 31,
  proof: 'subreaper',
  proven: true,
  survivors: [],
};
const agent: AgentStopView = {
  agent: 'local-1',
  open: false,
  received: true,
  done: true,
  unreachable: false,
  forgotten: false,
  owed: 0,
  attempts: [attempt],
  unproven: [],
};

describe('what an operator is told of a stop', () => {
  it.each<[Partial<AgentStopView>, string]>([
    [{}, 'agent local-1: 1 attempt, 14 processes, TERM, gone in 31 ms, proof subreaper'],
    [
      { attempts: [attempt, { ...attempt, signal: 'SIGKILL', goneMs: 1_200, processes: 1 }] },
      'agent local-1: 2 attempts, 15 processes, TERM+KILL, gone in 1.2 s, proof subreaper',
    ],
    [
      { attempts: [{ ...attempt, proof: 'scan', proven: false }] },
      'agent local-1: 1 attempt, 14 processes, TERM, gone in 31 ms, proof scan, unproven',
    ],
    [
      { attempts: [{ ...attempt, signal: null, processes: 0, goneMs: 0 }] },
      'agent local-1: 1 attempt, 0 processes, gone in 0 ms, proof subreaper',
    ],
    [
      { attempts: [{ ...attempt, survivors: [7, 8] }] },
      'agent local-1: 1 attempt, 14 processes, TERM, 2 survivors that cannot be killed: 7, 8, proof subreaper',
    ],
    [{ attempts: [] }, 'agent local-1: nothing to stop'],
    [
      { attempts: [], unproven: ['r/t1#1'] },
      'agent local-1: nothing to stop, 1 earlier attempt ended unproven',
    ],
  ])('%j', (over, line) => {
    expect(ackLine({ ...agent, ...over })).toBe(line);
  });

  it('counts those that had nothing of it, and only them', () => {
    const view = (...agents: Partial<AgentStopView>[]): StopView => ({
      ...{ command: 's', run: 'r', task: null, verdict: 'dead' },
      agents: agents.map((over) => ({ ...agent, ...over })),
    });
    const idle = { attempts: [] };
    expect(idleLine(view({}, idle, idle))).toBe('2 agents had nothing to stop');
    expect(idleLine(view({}, idle))).toBe('1 agent had nothing to stop');
    expect(idleLine(view({}))).toBeNull();
    expect(idleLine(view({ ...idle, done: false, open: true }))).toBeNull();
    expect(idleLine(view({ ...idle, unproven: ['r/t1#1'] }))).toBeNull();
  });

  it('names what is open, and who cannot be heard', () => {
    const open = { ...agent, open: true, done: false, received: false, owed: 2 };
    expect(openLine(open, true)).toBe(
      'agent local-1: still open, 2 attempts without a proven end, stop not received, unreachable: it obeys when it returns',
    );
    expect(openLine({ ...open, received: true }, false)).toBe(
      'agent local-1: still open, 2 attempts without a proven end, stop received',
    );
  });

  it.each<[string, Partial<AgentStopView>[], string]>([
    [
      'a rung that proves nothing',
      [{ attempts: [attempt, { ...attempt, proof: 'scan', proven: false }] }],
      'agent local-1 cannot prove that nothing is left (proof scan)',
    ],
    [
      'a forgotten agent',
      [
        { agent: 'a', attempts: [], forgotten: true, unproven: ['r/t1#1', 'r/t2#1'] },
        { agent: 'b' },
      ],
      'agent a was forgotten: processes of r/t1#1, r/t2#1 may live on there',
    ],
    [
      'one of each',
      [
        { agent: 'a', forgotten: true, attempts: [], unproven: ['r/t1#1'] },
        { agent: 'b', attempts: [], unproven: ['r/t2#1'] },
      ],
      'agent a was forgotten: processes of r/t1#1 may live on there; 1 earlier attempt of agent b ended unproven (r/t2#1)',
    ],
    [
      'many agents',
      Array.from({ length: 7 }, () => ({ attempts: [], unproven: ['r/t1#1'] })),
      `${Array.from({ length: 5 }, () => '1 earlier attempt of agent local-1 ended unproven (r/t1#1); ').join('')}2 more like that`,
    ],
  ])('says why it is unproven: %s', (_, agents, why) => {
    const all = agents.map((over) => ({ ...agent, ...over }));
    const view = { command: 's', run: 'r', task: null, verdict: 'unproven', agents: all } as const;
    expect(verdictLine(view, 'run r')).toBe(`run r is stopped, but its end is unproven: ${why}`);
  });

  it.each<[StopVerdict, number, RegExp]>([
    ['dead', 0, /zero survivors, proven/],
    ['unproven', 8, /unproven/],
    ['unkillable', 8, /cannot be killed/],
    ['open', 8, /still open on 1 agent/],
  ])('%s ends with %i', (verdict, exit, line) => {
    expect(exitOf(verdict)).toBe(exit);
    const view = {
      command: 's',
      run: 'r',
      task: null,
      verdict,
      agents: [{ ...agent, open: true }],
    };
    expect(verdictLine(view, 'run r')).toMatch(line);
  });

  it('that a requeued task stays paused, by whom, and what lets it go on', () => {
    const pauses = createPauses();
    const at = { run: 'r', task: 't1' };
    expect(staysPaused(pauses, 't1')).toBeNull();
    const pause = { command: 'p', stopSequence: 5, by: 'ann@box', reason: null };
    addPause(pauses, { ...pause, task: 't1' }, 0);
    const ofTask = staysPaused(pauses, 't1');
    expect(ofTask).toEqual({ by: 'ann@box', whole: false });
    expect(staysPaused(pauses, 't2')).toBeNull();
    expect(ofTask && staysPausedLine(ofTask, at)).toBe(
      'it is paused by ann@box, and it waits: benchmesh resume r/t1 lets it go on',
    );
    addPause(pauses, { ...pause, command: 'q', stopSequence: 9, task: null }, 0);
    const ofRun = staysPaused(pauses, 't2');
    expect(ofRun && staysPausedLine(ofRun, at)).toBe(
      'its run is paused by ann@box, and it waits: benchmesh resume r lets it go on',
    );
    addResume(pauses, { task: null, throughSequence: 9, by: 'bob@box' }, 0);
    expect(staysPaused(pauses, 't1')).toBeNull();
  });
});
