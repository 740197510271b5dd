/** Checks, services and limits of steps: from the file to what the agent reads, and what is refused. */
import { describe, expect, it } from 'vitest';
import { AttemptSpec, type StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { problemsOf, suiteOf } from './suite-of.ts';

function stepsOf(text: string, at = 0): StepSpec[] {
  const suite = suiteOf(text);
  const task = expandTasks(suite)[at];
  if (task === undefined) throw new Error(`no task ${at}`);
  const spec = attemptSpec(suite, { run: '2026-02-13_14-30-45-k3f9', task, n: 1 });
  return AttemptSpec.parse(JSON.parse(JSON.stringify(spec))).steps;
}

const HEAD = `axes: { gpu: ["4090"], port: [8000], limit: [90, 120] }
vars: { vram: 20480 }
run: [x]
`;

describe('preflight checks', () => {
  it.each<[string, object]>([
    [
      '{ gpu: { name: "{{gpu}}", minFreeVramMiB: "{{vram}}", driver: 550.120 } }',
      { kind: 'gpu', name: '4090', minFreeVramMiB: 20_480, driver: '550.120' },
    ],
    ['{ gpu: {} }', { kind: 'gpu', name: null, minFreeVramMiB: null, driver: null }],
    [
      '{ http: "http://127.0.0.1:{{port}}/api", contains: "{{gpu}}" }',
      { kind: 'http', url: 'http://127.0.0.1:8000/api', contains: '4090' },
    ],
    ['{ disk: { minFreeMiB: 100 } }', { kind: 'disk', path: null, minFreeMiB: 100 }],
    [
      '{ disk: { path: ./data, minFreeMiB: 1 } }',
      { kind: 'disk', path: '/suites/data', minFreeMiB: 1 },
    ],
    ['{ file: "../m-{{gpu}}.gguf" }', { kind: 'file', path: '/m-4090.gguf' }],
    [
      '{ port: { port: "{{port}}", free: true } }',
      { kind: 'port', host: '127.0.0.1', port: 8000, free: true },
    ],
    ['{ port: { host: db, port: 5432 } }', { kind: 'port', host: 'db', port: 5432, free: false }],
  ])('%s', (written, check) => {
    const [step] = stepsOf(`${HEAD}preflight:\n  - ${written}\n`);
    expect(step).toMatchObject({ step: 'preflight', argv: ['benchmesh-check', expect.anything()] });
    expect(step?.check).toEqual(check);
  });

  it('stand beside commands, with a message and a time limit', () => {
    const text = `${HEAD}preflight:
  - [test, -r, /dev/null]
  - { file: /x, message: "no {{gpu}}", onFail: skip, timeout: "{{limit}}s" }
`;
    expect(stepsOf(text, 1)).toMatchObject([
      { id: 'preflight', argv: ['test', '-r', '/dev/null'] },
      { id: 'preflight-2', message: 'no 4090', onFail: 'skip', timeoutMs: 120_000 },
      { id: 'run' },
    ]);
  });
});

describe('a service', () => {
  it.each<[string, object]>([
    [
      '{ http: "http://127.0.0.1:{{port}}/health", contains: ok }',
      { kind: 'http', url: 'http://127.0.0.1:8000/health', contains: 'ok' },
    ],
    ['{ port: "{{port}}" }', { kind: 'port', host: '127.0.0.1', port: 8000 }],
    ['{ port: 80, host: "::1" }', { kind: 'port', host: '::1', port: 80 }],
    ['{ line: "listening on {{port}}" }', { kind: 'line', text: 'listening on 8000' }],
  ])('is ready at %s', (ready, spec) => {
    const steps = stepsOf(
      `${HEAD}setup: [a]\nload: [b]\nservice:\n  exec: [serve]\n  ready: ${ready}\n`,
    );
    expect(steps.map(({ step }) => step)).toEqual(['setup', 'service', 'load', 'run']);
    expect(steps[1]?.service).toEqual({ ready: spec, readyMs: 300_000 });
  });

  it('has a time limit until it is ready, not for its life', () => {
    const [service] = stepsOf(
      `${HEAD}service: { exec: [serve], ready: { port: 1 }, timeout: "{{limit}}s" }`,
    );
    expect(service).toMatchObject({ timeoutMs: null, service: { readyMs: 90_000 } });
  });

  it('may have others beside it', () => {
    const steps = stepsOf(
      `${HEAD}service:\n  - { exec: [db], ready: { port: 1 } }\n  - { shell: serve, ready: { line: up } }`,
    );
    expect(steps.map(({ id }) => id)).toEqual(['service', 'service-2', 'run']);
  });
});

describe('limits of one step', () => {
  it('are templates, too; what is not given is the suite’s', () => {
    const text = `axes: { model: [small, large] }
include: [{ model: large, limit: 1h }]
vars: { limit: 5m }
grace: 3s
setup: [a]
run: { exec: [x], timeout: "{{limit}}", grace: 30s, stopSignal: INT }
`;
    expect(stepsOf(text, 1)).toMatchObject([
      { id: 'setup', timeoutMs: null },
      { id: 'run', timeoutMs: 3_600_000, graceMs: 30_000, stopSignal: 'SIGINT' },
    ]);
    expect(stepsOf(text)[1]).toMatchObject({ timeoutMs: 300_000 });
    expect(stepsOf(text)[0]).not.toHaveProperty('graceMs');
  });
});

describe('what is refused, and where', () => {
  it.each<[string, string[]]>([
    [
      'preflight: { gpu: { nam: x } }\nrun: [x]',
      ['suite.yaml:1:21: preflight.gpu.nam: unknown key "nam". Did you mean "name"?'],
    ],
    [
      'preflight:\n  - { gpu: { minFreeVramMiB: 20GiB } }\nrun: [x]',
      ['suite.yaml:2:30: preflight[0].gpu.minFreeVramMiB: must be a whole number'],
    ],
    [
      'preflight: [{ http: localhost }]\nrun: [x]',
      ['suite.yaml:1:21: preflight[0].http: must be a URL, such as http://127.0.0.1:8000/health'],
    ],
    [
      'preflight: { file: a, http: "http://x" }\nrun: [x]',
      [
        'suite.yaml:1:12: preflight: has http and file; keep exactly one of exec, shell, gpu, http, disk, file, port',
      ],
    ],
    [
      'preflight: { file: a, cwd: /x }\nrun: [x]',
      ['suite.yaml:1:28: preflight.cwd: belongs to exec and shell only; remove it'],
    ],
    [
      'preflight: { file: "{{nope}}" }\nrun: [x]',
      [
        'suite.yaml:1:20: preflight.file: unknown name "{{nope}}"; known: suite.dir, run, task, attempt, index, repeat, seed.',
      ],
    ],
    [
      'axes: { v: [1, big] }\npreflight: { disk: { minFreeMiB: "{{v}}" } }\nrun: [x]',
      [
        'suite.yaml:2:34: preflight.disk.minFreeMiB: must be a whole number; with v big it is "big"',
      ],
    ],
    [
      'axes: { v: [0] }\nservice: { exec: [a], ready: { port: "{{v}}" } }\nrun: [x]',
      ['suite.yaml:2:38: service.ready.port: must be a port, from 1 to 65535; with v 0 it is "0"'],
    ],
    [
      'axes: { v: [10] }\nrun: { exec: [x], timeout: "{{v}}" }',
      [
        'suite.yaml:2:28: run.timeout: must be a duration with a unit, such as 250ms, 10s, 1m30s or 2h; with v 10 it is "10"',
      ],
    ],
    [
      'run: { exec: [x], stopSignal: STOP }',
      ['suite.yaml:1:31: run.stopSignal: must be one of TERM, INT, HUP, QUIT, USR1, USR2, KILL'],
    ],
    [
      'service: { exec: [a] }\nrun: [x]',
      ['suite.yaml:1:10: service.ready: the key "ready" is missing; add it'],
    ],
    [
      'service: { exec: [a], ready: { port: 1, contains: x } }\nrun: [x]',
      ['suite.yaml:1:51: service.ready.contains: belongs to http only; remove it'],
    ],
  ])('%s', (text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
  });
});
