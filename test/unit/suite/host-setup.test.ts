/** The `hostSetup` of a suite, and what makes two of them the same. */
import { describe, expect, it } from 'vitest';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { problemsOf, suiteOf, warningsOf } from './suite-of.ts';

/** The first step of each task. */
function firstSteps(text: string): StepSpec[] {
  const suite = suiteOf(text);
  return expandTasks(suite).flatMap((task) => {
    const { steps } = attemptSpec(suite, { run: '2026-02-13_14-30-45-k3f9', task, n: 1 });
    return steps[0] ?? [];
  });
}

const ids = (text: string): (string | undefined)[] =>
  firstSteps(text).map(({ hostSetup }) => hostSetup?.id);

describe('hostSetup', () => {
  it('is the first step, before the preflight', () => {
    const [step] = firstSteps(
      'hostSetup: [make, 1.0]\npreflight: [p]\nsetup: [s]\nrun: [r]\ngrace: 2s',
    );
    expect(step).toMatchObject({
      step: 'setup',
      id: 'host-setup',
      argv: ['make', '1.0'],
      hostSetup: { id: expect.stringMatching(/^[0-9a-f]{16}$/) as string },
    });
  });

  it.each([
    ['its command, where it has no key', 'hostSetup: [pull, "{{m}}"]', 2],
    ['its environment too', 'hostSetup: { exec: [x], env: { M: "{{m}}" } }', 2],
    ['the same command for all', 'hostSetup: [make]', 1],
    ['its key', 'hostSetup: { shell: "x {{m}} {{s}}", key: "{{m}}" }', 2],
    ['one key for all', 'hostSetup: { exec: [x, "{{m}}", "{{s}}"], key: all }', 1],
  ])('is known by %s', (_what, line, count) => {
    const found = ids(`axes: { m: [a, b], s: [1, 2] }\nrun: [r]\n${line}`);
    expect(found).toHaveLength(4);
    expect(new Set(found).size).toBe(count);
  });

  it.each([
    ['hostSetup: [x, "{{nope}}"]', '2:16: hostSetup[1]: unknown name "{{nope}}"'],
    ['hostSetup: { exec: [x], key: "{{nope}}" }', '2:30: hostSetup.key: unknown name "{{nope}}"'],
    ['hostSetup: { key: a }', '2:12: hostSetup: needs exactly one of exec, shell'],
    ['hostSetup: { exec: [x], ready: {} }', 'hostSetup.ready: unknown key "ready"'],
    ['hostSetup: [[x]]', '2:13: hostSetup[0]: must be'],
    ['hostSetup: { exec: [x], timeout: "{{t}}" }\nvars: { t: soon }', 'hostSetup.timeout: '],
  ])('%s', (line, problem) => {
    expect(problemsOf(`run: [r]\n${line}`)).toEqual([expect.stringContaining(problem) as string]);
  });

  it('warns of values that its shell would read', () => {
    expect(
      warningsOf('axes: { t: [two words] }\nrun: [r]\nhostSetup: { shell: "x {{t}}" }'),
    ).toHaveLength(1);
  });
});
