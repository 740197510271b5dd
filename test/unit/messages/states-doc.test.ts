import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { STEPS } from '#protocol/messages/attempt/attempt-spec.ts';
import {
  AttemptOutcome,
  FailureClass,
  RunOutcome,
  RunState,
  TaskOutcome,
  TaskState,
} from '#protocol/messages/attempt/outcome.ts';

const text = readFileSync('docs/states.md', 'utf8');

/** First column of the table that follows `heading`. */
function table(heading: string): string[] {
  const start = text.indexOf(heading);
  expect(start, `"${heading}" in docs/states.md`).toBeGreaterThanOrEqual(0);
  const rows: string[] = [];
  for (const line of text.slice(start).split('\n').slice(1)) {
    if (/^\|-/.test(line)) continue;
    const cell = /^\| (\w+) \|/.exec(line)?.[1];
    if (cell === undefined) break;
    rows.push(cell);
  }
  return rows;
}

describe('docs/states.md', () => {
  it('lists every state and outcome there is', () => {
    const [run = '', task = ''] = text.split('\n## ').slice(1);
    const states = (section: string): string[] =>
      [...section.matchAll(/^\| (\w+) \|/gm)]
        .flatMap((match) => match[1] ?? [])
        .filter((cell) => cell !== 'state');
    expect(states(run)).toEqual([...RunState.options, ...RunOutcome.options]);
    expect(states(task)).toEqual([...TaskState.options, ...TaskOutcome.options]);
    expect(table('| class of a failure |')).toEqual(FailureClass.options);
  });

  it('gives the order of the steps and relates attempt outcomes to task outcomes', () => {
    expect(text).toContain(
      `\`accepted\` → ${STEPS.map((step) => `\`${step}\``).join(' → ')} → \`exited\``,
    );
    expect(TaskOutcome.options.filter((one) => one !== 'quarantined')).toEqual(
      AttemptOutcome.options,
    );
  });
});
