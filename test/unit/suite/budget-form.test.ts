/** Budgets, cycles and retries as written in a suite. */
import { describe, expect, it } from 'vitest';
import { problemsOf, suiteOf } from './suite-of.ts';

const RUN = 'run: [echo]\n';

describe('bad budgets and retries', () => {
  it.each([
    {
      what: 'a number where cycles are meant',
      text: `${RUN}repeat: 3\n`,
      problems: [
        'suite.yaml:2:9: repeat: must be until-budget (repeats is for a number of times), not 3',
      ],
    },
    {
      what: 'cycles without an end, and keys that mean nothing without it',
      text: `${RUN}repeat: until-budget\nrepeats: 2\natBudget: finish\nprofiles:\n  quick: { maxCycles: 2 }\n`,
      problems: [
        'suite.yaml:2:1: repeat: needs runBudget: how long the list is cycled, such as runBudget: 1h',
        'suite.yaml:3:1: repeats: repeat: until-budget measures every cell again and again; remove one of the two',
        'suite.yaml:4:1: atBudget: needs runBudget: the time after which nothing new starts',
      ],
    },
    {
      what: 'a limit of cycles without cycles',
      text: `${RUN}maxCycles: 2\n`,
      problems: [
        'suite.yaml:2:1: maxCycles: belongs to repeat: until-budget; write repeats for a fixed number',
      ],
    },
    {
      what: 'back-off without its first wait, and a rule without a number',
      text: `${RUN}retries: { exit: { most: 1, factor: 3 }, oom: { backoff: 1s } }\n`,
      problems: [
        'suite.yaml:2:37: retries.exit.factor: belongs to backoff: give backoff too, or remove it',
        'suite.yaml:2:47: retries.oom.most: the key "most" is missing; add it',
      ],
    },
  ])('$what', ({ text, problems }) => {
    expect(problemsOf(text)).toEqual(problems);
  });
});

it('the budget may be given with a profile or with --set', () => {
  const text = `${RUN}repeat: until-budget\nprofiles: { hour: { runBudget: 1h } }\n`;
  expect(problemsOf(text)).toHaveLength(1);
  expect(problemsOf(text, { profile: 'hour' })).toEqual([]);
  expect(problemsOf(text, { set: ['runBudget=10s'] })).toEqual([]);
});

it('cycles until the budget ends', () => {
  const suite = suiteOf(
    `${RUN}repeat: until-budget\nmaxCycles: 5\nrunBudget: 1h\natBudget: finish\n`,
  );
  expect(suite).toMatchObject({
    repeats: 1,
    runBudgetMs: 3_600_000,
    atBudget: 'finish',
    untilBudget: { maxCycles: 5 },
  });
  const plain = suiteOf(`${RUN}runBudget: 1h\n`);
  expect(Object.keys(plain)).not.toContain('untilBudget');
});

it('retries: a number or a rule per class', () => {
  const { retries, retryRules } = suiteOf(
    `${RUN}retries: { exit: { most: 3, backoff: 10s, factor: 3, max: 5m, jitter: 0 }, oom: 1, signal: { most: 2 }, lost: { most: 1, backoff: 1m } }\n`,
  );
  expect(retries).toEqual({ exit: 3, oom: 1, signal: 2, lost: 1 });
  expect(retryRules).toEqual({
    exit: { backoffMs: 10_000, factor: 3, maxMs: 300_000, jitter: 0 },
    lost: { backoffMs: 60_000, factor: 2, maxMs: 3_600_000, jitter: 0.1 },
  });
  expect(Object.keys(suiteOf(`${RUN}retries: 2\n`))).not.toContain('retryRules');
});
