/** Folders of steps are given to others only where nobody will look into them. */
import { expect, test } from 'vitest';
import { spareFolders } from '#agent/attempt/attempt-folder.ts';
import { attemptPaths } from '#agent/state/state-folder.ts';
import { EXITED, Script, specOf } from './attempt-cases.ts';

const RULES = {
  files: ['r.json'],
  fileRules: [{ path: 'r.json', maxBytes: null, required: true }],
};
const lost = [{ path: 'r.json', reason: 'no file matches' }];

function spares(script: Script): string[] {
  expect(script.state.life).toEqual({ kind: 'exited' });
  return spareFolders(script.state, attemptPaths('/s', script.state.spec)).map((dir) =>
    dir.replace(/^.*step\./, ''),
  );
}

test('all of an attempt that passed', () => {
  const script = new Script(specOf(['run', 'teardown']));
  script.begin();
  script.end();
  script.end();
  expect(spares(script)).toEqual(['run-0', 'teardown-1']);
});

test('none where a required file went before it was stored', () => {
  const script = new Script(specOf(['run'], RULES));
  script.begin();
  script.end();
  script.say({ kind: 'extracted', metrics: [], problems: [] });
  expect(script.state.verdict).toMatchObject({ outcome: 'passed' });
  script.say({ kind: 'finished', logGaps: [], filesLost: lost });
  expect(spares(script)).toEqual([]);
  expect(script.state.verdict).toMatchObject({ outcome: 'failed', stage: 'collect' });
});

test('none where the disk refused output', () => {
  const script = new Script(specOf(['run'], { files: ['*'] }));
  script.begin();
  script.end();
  script.say({ kind: 'finished', logGaps: [{ from: 0, to: 1 }], isRefused: true });
  expect(spares(script)).toEqual([]);
});

test('none where the teardown failed', () => {
  const script = new Script(specOf(['run', 'teardown']));
  script.begin();
  script.end();
  script.end(EXITED(1));
  expect(script.state.verdict).toMatchObject({ outcome: 'passed' });
  expect(spares(script)).toEqual([]);
});
