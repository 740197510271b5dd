/** The report and the health of attempts through a real agent, with the programs that the docs show. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attemptPaths } from '#agent/state/state-folder.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { MessageOf } from '#protocol/messages/envelope.ts';
import { until } from '#test/support/until.ts';
import {
  attemptSpec,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

const DOCS = readFileSync('docs/benchmarks.md', 'utf8');

let mesh: TestMesh;
let agent: AgentProcess;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bm-report-'));
  mesh = await startTestMesh();
  agent = await mesh.start(['--slots', '2']);
});

afterAll(async () => {
  await mesh.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The program of the docs in this language, as a file. */
function documented(language: 'bash' | 'python'): string {
  const text = new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(DOCS)?.[1] ?? '';
  expect(text).not.toBe('');
  const file = join(dir, `bench.${language}`);
  writeFileSync(file, text);
  return file;
}

async function run(spec: AttemptSpec): Promise<MessageOf<'attempt.exited'>> {
  await mesh.startAttempt(spec);
  return mesh.exited(spec);
}

test('the bash version of the docs: phases, progress, a metric, a message', async () => {
  const spec = attemptSpec([step(`bash ${documented('bash')}`)], { phases: ['warmup', 'measure'] });
  const { data } = await run(spec);
  expect(data).toMatchObject({ outcome: 'passed', report: { malformed: 0, messages: 1 } });
  expect(data.metrics).toMatchObject([
    { name: 'rounds_per_second', value: 9.3, unit: '1/s', series: { count: 5, last: 9.5 } },
  ]);
  expect(mesh.of(spec, 'attempt.message').map((one) => one.data.text)).toEqual([
    'measured 5 rounds',
  ]);
});

test('the Python version of the docs: requests', async () => {
  const spec = attemptSpec([step(`python3 ${documented('python')}`)], { phases: ['measure'] });
  const { data } = await run(spec);
  expect(data).toMatchObject({
    outcome: 'passed',
    report: { malformed: 0, requests: { total: 5, ok: 5, errors: 0, tokens: 320 } },
  });
  const { requests } = data.report ?? {};
  expect(requests?.latencyMs?.min).toBeGreaterThanOrEqual(50);
  expect(requests?.durationMs).toBeGreaterThanOrEqual(250);
});

test('after a restart of the agent nothing is counted or said twice', async () => {
  const go = join(dir, 'go');
  const spec = attemptSpec([
    step(`
      for i in 1 2 3 4 5; do echo "metric m $i" >> $BENCHMESH_REPORT; done
      echo 'message halfway' >> $BENCHMESH_REPORT; echo 'request 10ms' >> $BENCHMESH_REPORT
      while [ ! -e ${go} ]; do sleep 0.05; done
      echo 'metric m 6' >> $BENCHMESH_REPORT; echo 'message done' >> $BENCHMESH_REPORT`),
  ]);
  await mesh.startAttempt(spec);
  await until(() => mesh.of(spec, 'attempt.message').length === 1, 'the message');
  await mesh.kill(agent);
  agent = await mesh.start(['--slots', '2']);
  writeFileSync(go, '');
  const { data } = await mesh.exited(spec);
  expect(data.metrics[0]).toMatchObject({ name: 'm', series: { count: 6, max: 6 } });
  expect(data.report).toMatchObject({ samples: 6, messages: 2, requests: { total: 1 } });
  expect(mesh.of(spec, 'attempt.message').map((one) => one.data.text)).toEqual(['halfway', 'done']);
});

test('no progress ends the attempt, proven dead, after its teardown; a floor only warns', async () => {
  const spec = attemptSpec(
    [
      step('echo "metric tps 1" >> $BENCHMESH_REPORT; echo begun; sleep 600 & sleep 600'),
      step('echo down', { step: 'teardown' }),
    ],
    {
      health: {
        everyMs: 200,
        rules: [
          { kind: 'no_progress', id: 'noProgress', forMs: 1_500, then: 'fail' },
          {
            kind: 'metric',
            id: 'metrics[0]',
            metric: 'tps',
            below: 5,
            forMs: 400,
            phases: null,
            then: 'warn',
          },
        ],
      },
    },
  );
  const { data } = await run(spec);
  expect(data).toMatchObject({
    outcome: 'failed',
    stage: 'run',
    class: 'health',
    reason: 'health noProgress: no output and no line of the report for 1.5 s',
    proven: true,
    survivors: [],
  });
  expect(data.steps.map((one) => one.step)).toEqual(['run', 'teardown']);
  expect(mesh.of(spec, 'attempt.health').map((one) => one.data)).toMatchObject([
    { rule: 'metrics[0]', state: 'failing', then: 'warn' },
    { rule: 'noProgress', state: 'failing', then: 'fail' },
  ]);
});

test('a check that fails three times in a row ends the attempt; one that only warns recovers', async () => {
  let status = 503;
  const server = createServer((_request, response) => response.writeHead(status).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const rule = { kind: 'check', timeoutMs: 5_000, failures: 3, message: null } as const;
  const url = `http://127.0.0.1:${port}/health`;
  // It has the environment of the step, but is no process of it.
  const own = '[ -n "$BENCHMESH_TASK$MARK" ] && [ -z "$BENCHMESH_STOP$BENCHMESH_REPORT" ]';
  const program = `${own} || exit 9; echo no model >&2; test ! -e broken`;
  const spec = attemptSpec(
    [
      step('touch up; until [ -e go ]; do sleep 0.02; done; touch broken; sleep 600', {
        env: { MARK: 'x' },
      }),
    ],
    {
      health: {
        everyMs: 50,
        rules: [
          { ...rule, id: 'checks[0]', check: { kind: 'http', url, contains: null }, then: 'warn' },
          {
            ...rule,
            id: 'checks[1]',
            check: { kind: 'exec', argv: ['sh', '-c', program] },
            then: 'fail',
          },
        ],
      },
    },
  );
  await mesh.startAttempt(spec);
  const health = () => mesh.of(spec, 'attempt.health').map((one) => one.data);
  await until(() => health().length === 1, 'the server is not well');
  status = 200;
  await until(() => health().length === 2, 'the server is well again');
  writeFileSync(join(attemptPaths(mesh.state, spec).work, 'go'), '');
  const { data } = await mesh.exited(spec);
  server.close();
  expect(health()).toMatchObject([
    { rule: 'checks[0]', state: 'failing', reason: `http: ${url} answers 503 (3 times in a row)` },
    { rule: 'checks[0]', state: 'recovered', reason: 'the http check passes again' },
    { rule: 'checks[1]', state: 'failing' },
  ]);
  expect(data).toMatchObject({
    outcome: 'failed',
    stage: 'run',
    class: 'health',
    reason: 'health checks[1]: exec: sh: exit status 1: no model (3 times in a row)',
    proven: true,
    survivors: [],
  });
});
