import { describe, expect, test } from 'vitest';
import { EXITED, outcomeOf, Script, specOf } from './attempt-cases.ts';

describe('survivors of a kill (I5)', () => {
  const gone = { ...outcomeOf(EXITED(0)).gone, empty: false, survivors: [77] };
  type Doing = 'end' | 'end surviving' | 'gone run' | 'gone teardown' | 'finish' | 'resume';
  const say = (script: Script, doing: Doing): string[] => {
    const effects = {
      end: () => script.end(),
      'end surviving': () => script.end(EXITED(0), { gone, logBytes: 5 }),
      'gone run': () => script.say({ kind: 'step_gone', step: 'run-0' }),
      'gone teardown': () => script.say({ kind: 'step_gone', step: 'teardown-1' }),
      finish: () => script.say({ kind: 'finished', logGaps: [] }),
      resume: () => script.say({ kind: 'resume', bootId: 'b' }),
    }[doing]();
    return effects.map(({ kind }) => kind);
  };
  test.each<[string, Doing[], Doing | null]>([
    ['none', ['end', 'end'], 'end'],
    ['gone after the end', ['end surviving', 'end', 'finish', 'gone run'], 'gone run'],
    ['gone before the end', ['end surviving', 'end', 'gone run', 'finish'], 'gone run'],
    ['gone before the teardown ends', ['end surviving', 'gone run', 'end', 'finish'], 'end'],
    ['never gone', ['end surviving', 'end', 'resume', 'finish'], null],
    ['of two steps', ['end surviving', 'end surviving', 'finish', 'gone run'], null],
    [
      'of two steps, gone',
      ['end surviving', 'end surviving', 'gone teardown', 'finish', 'gone run'],
      'gone run',
    ],
  ])('%s: after %j it is freed by %s', (_, doings, freeing) => {
    const script = new Script(specOf(['run', 'teardown']));
    script.begin();
    const frees = doings.filter((doing) => say(script, doing).includes('free'));
    expect(frees.at(-1) ?? null).toBe(freeing);
    expect(script.effects.filter(({ kind }) => kind === 'free')).toHaveLength(
      freeing === null ? 0 : 1,
    );
    expect(script.state.life.kind).toBe('exited');
    expect(script.events().filter((name) => name === 'attempt.exited')).toHaveLength(1);
    // Not of one that had left none, and never before the end that names them.
    const isSaid = freeing !== null && doings.includes('end surviving');
    expect(script.events().slice(script.events().indexOf('attempt.exited') + 1)).toEqual(
      isSaid ? ['attempt.survivors_gone'] : [],
    );
  });
});
