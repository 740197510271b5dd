import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filters, parseSubject, subjects } from '#protocol/messages/subjects.ts';

const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/).filter((text) => text !== 'all');
const ref = fc.record({ run: token, task: token, n: fc.integer({ min: 1, max: 99 }) });

/** NATS's own matching: `*` is one token, a final `>` is one or more. */
function matches(filter: string, subject: string): boolean {
  const wanted = filter.split('.');
  const given = subject.split('.');
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return given.length > index;
    if (token !== '*' && token !== given[index]) return false;
  }
  return wanted.length === given.length;
}

describe('subjects', () => {
  it('parse to what they were built from', () => {
    fc.assert(
      fc.property(token, ref, (agent, at) => {
        // `host` as a run would be another subject; run ids never look like that.
        fc.pre(agent !== 'epoch' && at.run !== 'host' && at.task !== 'host');
        expect(parseSubject(subjects.attemptEvents(agent, at))).toEqual({
          kind: 'attempt',
          agent,
          ref: at,
        });
        expect(parseSubject(subjects.log(agent, at))).toEqual({ kind: 'log', agent, ref: at });
        expect(parseSubject(subjects.metrics(agent, at))).toEqual({
          kind: 'metrics',
          agent,
          ref: at,
        });
        expect(parseSubject(subjects.hostMetrics(agent))).toEqual({ kind: 'host_metrics', agent });
        expect(matches(filters.metricsOf(at.run), subjects.metrics(agent, at))).toBe(true);
        expect(matches(filters.metricsOf(at.run), subjects.hostMetrics(agent))).toBe(false);
        expect(parseSubject(subjects.command(agent, 'start', at.run))).toEqual({
          kind: 'command',
          agent,
          command: 'start',
          run: at.run,
        });
        expect(parseSubject(subjects.ack(agent, at.task))).toEqual({
          kind: 'ack',
          agent,
          command: at.task,
        });
        expect(parseSubject(subjects.task(at.run, at.task))).toEqual({
          kind: 'task',
          run: at.run,
          task: at.task,
        });
        expect(parseSubject(subjects.hostEvents(agent))).toEqual({ kind: 'host', agent });
        expect(parseSubject(subjects.fleet(agent))).toEqual({ kind: 'fleet', agent });
        expect(parseSubject(subjects.run(at.run))).toEqual({ kind: 'run', run: at.run });
      }),
    );
  });

  it('the epochs and the broadcast stop stand alone', () => {
    expect(parseSubject(subjects.stop())).toEqual({ kind: 'stop' });
    expect(parseSubject(subjects.commandEpoch())).toEqual({ kind: 'command_epoch' });
    expect(parseSubject(subjects.eventEpoch())).toEqual({ kind: 'event_epoch' });
  });

  it.each([
    '',
    'bm.v2.evt.leader',
    'bm.v1.evt',
    'bm.v1.cmd.a.dance.r',
    'bm.v1.log.a.r.t.0',
    'bm.v1.log.a.r.t.1.2',
    'other',
  ])('answers null for %j', (subject) => {
    expect(parseSubject(subject)).toBeNull();
  });

  it('a mailbox sees its own commands and stops, and no other agent’s', () => {
    const [own = '', all = ''] = filters.mailbox('a');
    expect(matches(own, subjects.command('a', 'start', 'r'))).toBe(true);
    expect(matches(own, subjects.command('b', 'start', 'r'))).toBe(false);
    expect(matches(all, subjects.stop())).toBe(true);
  });

  it('the filters of a run match its events and no other run’s', () => {
    const seen = (subject: string): boolean =>
      filters.runEvents('r1').some((filter) => matches(filter, subject));
    const at = (run: string) => ({ run, task: 't', n: 1 });
    expect(
      [subjects.run('r1'), subjects.task('r1', 't'), subjects.attemptEvents('a', at('r1'))].every(
        seen,
      ),
    ).toBe(true);
    expect(
      [subjects.run('r2'), subjects.task('r2', 't'), subjects.attemptEvents('a', at('r2'))].some(
        seen,
      ),
    ).toBe(false);
  });
});
