import { expect, it } from 'vitest';
import { problemsOf, suiteOf } from './suite-of.ts';

const FORMS = 'suite.yaml:2:9: onLost: must be wait, or how long to wait: { requeueAfter: 60s }';
const UNIT = 'onLost.requeueAfter: must be a duration with a unit, such as 250ms, 10s, 1m30s or 2h';

it.each([
  ['wait', null],
  ['{ requeueAfter: 90s }', 90_000],
])('onLost: %s', (written, requeueAfterMs) => {
  expect(suiteOf(`run: [x]\nonLost: ${written}\n`).onLost).toEqual({ requeueAfterMs });
});

it.each([
  ['{ requeueAfter: 10 }', [`suite.yaml:2:25: ${UNIT}, not 10`]],
  ['{ requeueAfter: soon }', [`suite.yaml:2:25: ${UNIT}`]],
  ['{}', ['suite.yaml:2:9: onLost.requeueAfter: the key "requeueAfter" is missing; add it']],
  ['requeue', [`${FORMS}, not "requeue"`]],
  ['Wait', [`${FORMS}, not "Wait". Did you mean "wait"?`]],
  ['[wait]', [`${FORMS}, not a list`]],
])('onLost: %s is refused', (written, problems) => {
  expect(problemsOf(`run: [x]\nonLost: ${written}\n`)).toEqual(problems);
});
