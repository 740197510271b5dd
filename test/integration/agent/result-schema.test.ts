/** Results that do not fit the schema of the suite fail the attempt at stage collect, and are kept. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { attemptSpec, startTestMesh, step, type TestMesh } from './support/agent-process.ts';

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startTestMesh();
  await mesh.start();
});
afterAll(async () => {
  await mesh.close();
});

const schema = {
  type: 'object',
  required: ['tps'],
  properties: { tps: { type: 'number', exclusiveMinimum: 0 } },
};

function writes(script: string, path: string, required = false): AttemptSpec {
  const fileRules = [{ path, maxBytes: null, required, schema }];
  return attemptSpec([step(script)], { files: [path], fileRules });
}

async function end(spec: AttemptSpec): Promise<unknown> {
  await mesh.startAttempt(spec);
  const { outcome, stage, class: kind, reason } = (await mesh.exited(spec)).data;
  return { outcome, stage, class: kind, reason };
}

const failed = (reason: string): unknown => ({
  outcome: 'failed',
  stage: 'collect',
  class: 'result',
  reason,
});

test.each([
  [
    'a number that is text',
    `echo '{"tps": "12"}' > a.json`,
    'does not fit its schema: tps: must be a number, not "12"',
  ],
  ['nothing', 'echo "{}" > a.json', 'does not fit its schema: tps: is missing'],
  ['half of it', `printf '{"tps": 1' > a.json`, /^file a\.json: is not JSON: /],
])('%s', async (_what, script, reason) => {
  const spec = writes(script, 'a.json');
  const found = await end(spec);
  if (typeof reason === 'string') expect(found).toEqual(failed(`file a.json: ${reason}`));
  else
    expect(found).toMatchObject({
      stage: 'collect',
      reason: expect.stringMatching(reason) as string,
    });
  expect(mesh.of(spec, 'attempt.file_stored').map(({ data }) => data.file.path)).toEqual([
    'a.json',
  ]);
  expect(mesh.of(spec, 'attempt.exited')[0]?.data.filesLost).toBeUndefined();
});

test('every file that matches, and every line of one that has a value a line', async () => {
  const spec = writes(
    `echo '{"tps": 1}' > a.json; echo '{"tps": 0}' > b.json; printf '{"tps":1}\\n\\n{"tps":-1}\\n' > c.ndjson`,
    '*.*json',
  );
  expect(await end(spec)).toEqual(
    failed(
      'file b.json: does not fit its schema: tps: must be more than 0, not 0; ' +
        'file c.ndjson: line 3 does not fit its schema: tps: must be more than 0, not -1',
    ),
  );
});

test('one that fits; none, where none is required; none, where one is', async () => {
  const passed = { outcome: 'passed', stage: null, class: null, reason: null };
  expect(await end(writes(`echo '{"tps": 1.5}' > a.json`, 'a.json', true))).toEqual(passed);
  expect(await end(writes('true', 'a.json'))).toEqual(passed);
  expect(await end(writes('true', 'a.json', true))).toEqual(failed('file a.json: no file matches'));
});
