/** Who accepted an attempt is in its first event, whichever that is. */
import { describe, expect, test } from 'vitest';
import { Script, specOf } from './attempt-cases.ts';

describe('acceptance', () => {
  test('the first event says who accepted it: a step, or a message of its own after a wait', () => {
    const accepted = { command: 'c1', host: 'h', address: 'a' };
    const soon = new Script(specOf(['setup', 'run']));
    soon.begin();
    soon.say({ kind: 'step_started', index: 0, pid: 7 });
    soon.say({ kind: 'say_accepted' });
    soon.end();
    soon.say({ kind: 'step_started', index: 1, pid: 8 });
    const said = soon.effects.flatMap((one) => (one.kind === 'record' ? one.events : []));
    expect(said.map(({ data }) => ('accepted' in data ? data.accepted : null))).toEqual([
      accepted,
      null,
    ]);
    const late = new Script(specOf(['run']));
    expect(late.say({ kind: 'say_accepted' })).toMatchObject([
      { kind: 'record', events: [{ name: 'attempt.accepted', seq: 1, data: accepted }] },
    ]);
    late.begin();
    late.say({ kind: 'say_accepted' });
    late.end();
    expect(late.events()).toEqual(['attempt.accepted', 'attempt.step_started', 'attempt.exited']);
  });

  test('what never starts is accepted before its end', () => {
    const script = new Script(specOf(['run']));
    script.say({ kind: 'refuse', class: 'preflight', reason: 'no' });
    expect(script.events()).toEqual(['attempt.accepted', 'attempt.exited']);
  });
});
