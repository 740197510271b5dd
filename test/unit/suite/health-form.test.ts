/** The suite's `health`: from the file to what attempts get, and what is refused. */
import { describe, expect, it } from 'vitest';
import { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { problemsOf, suiteOf } from './suite-of.ts';

describe('health in a suite', () => {
  it('is spelled out', () => {
    const suite = suiteOf(`run: [x]
health:
  noProgress: 10m
  metrics: [{ metric: tps, below: 5, for: 1m, then: warn }]
`);
    expect(suite.health).toEqual({
      everyMs: 30_000,
      rules: [
        { kind: 'no_progress', id: 'noProgress', forMs: 600_000, then: 'fail' },
        {
          kind: 'metric',
          id: 'metrics[0]',
          metric: 'tps',
          below: 5,
          forMs: 60_000,
          phases: null,
          then: 'warn',
        },
      ],
    });
  });

  it('has checks, with templates, as attempts get them', () => {
    const suite = suiteOf(`axes: { port: [8000, 9000] }
run: [x]
health:
  every: 5s
  checks:
    - { http: "http://127.0.0.1:{{port}}/health", contains: ok, failures: 3, timeout: 2s }
    - { exec: [./alive, "{{port}}"], then: warn, message: "port {{port}} is dead" }
    - { shell: "pgrep server" }
    - { gpu: { minFreeVramMiB: 100 } }
    - { port: { port: "{{port}}" } }
    - { file: ./lock }
    - { disk: { minFreeMiB: 10 } }
`);
    const [, task] = expandTasks(suite);
    if (task === undefined) throw new Error('no second task');
    const spec = attemptSpec(suite, { run: '2026-02-13_14-30-45-k3f9', task, n: 1 });
    const { health } = AttemptSpec.parse(JSON.parse(JSON.stringify(spec)));
    const rule = { kind: 'check', timeoutMs: 10_000, failures: 1, message: null, then: 'fail' };
    expect(health).toEqual({
      everyMs: 5_000,
      rules: [
        {
          ...rule,
          id: 'checks[0]',
          check: { kind: 'http', url: 'http://127.0.0.1:9000/health', contains: 'ok' },
          failures: 3,
          timeoutMs: 2_000,
        },
        {
          ...rule,
          id: 'checks[1]',
          check: { kind: 'exec', argv: ['/suites/alive', '9000'] },
          message: 'port 9000 is dead',
          then: 'warn',
        },
        {
          ...rule,
          id: 'checks[2]',
          check: { kind: 'exec', argv: ['/bin/sh', '-c', 'pgrep server'] },
        },
        {
          ...rule,
          id: 'checks[3]',
          check: { kind: 'gpu', name: null, minFreeVramMiB: 100, driver: null },
        },
        {
          ...rule,
          id: 'checks[4]',
          check: { kind: 'port', host: '127.0.0.1', port: 9000, free: false },
        },
        { ...rule, id: 'checks[5]', check: { kind: 'file', path: '/suites/lock' } },
        { ...rule, id: 'checks[6]', check: { kind: 'disk', path: null, minFreeMiB: 10 } },
      ],
    });
  });

  it.each([
    [
      '{ file: x, exec: [y] }',
      '3:5: health.checks[0]: has exec and file; keep exactly one of exec, shell, gpu, http, disk, file, port',
    ],
    ['{ file: x, failures: 0 }', '3:26: health.checks[0].failures: must be more than 0'],
    [
      '{ file: x, contains: y }',
      '3:26: health.checks[0].contains: belongs to http only; remove it',
    ],
    [
      '{ http: "http://{{prot}}" }',
      '3:13: health.checks[0].http: unknown name "{{prot}}"; known: port, suite.dir, run, task, attempt, index, repeat, seed. Did you mean "port"?',
    ],
    [
      '{ port: { port: "{{port}}0" } }',
      '3:21: health.checks[0].port.port: must be a port, from 1 to 65535; with port 8000 it is "80000"',
    ],
    [
      '{ file: x, cwd: / }',
      '3:16: health.checks[0].cwd: unknown key "cwd". Known: exec, shell, gpu, http, disk, file, port, contains, timeout, failures, message, then.',
    ],
  ])('a wrong check is named with its place: %s', (check, problem) => {
    const text = `axes: { port: [8000] }\nhealth: { checks: [\n    ${check}] }\nrun: [x]\n`;
    expect(problemsOf(text)).toEqual([`suite.yaml:${problem}`]);
  });

  it('needs a rule, and phases that are declared', () => {
    expect(problemsOf('run: [x]\nhealth: { every: 5s }\n')).toHaveLength(1);
    const floor = '{ metric: t, below: 1, for: 1s, phases: [mesure] }';
    const text = `run: [x]\nphases: [measure]\nhealth: { metrics: [${floor}] }\nreport: { phases: [warm] }\n`;
    expect(problemsOf(text)).toHaveLength(2);
  });
});
