import { expect, it } from 'vitest';
import { stillThere } from '#cli/runs/cordon-agent.ts';

it.each([
  [0, ''],
  [1, '; 1 attempt with it goes on there'],
  [2, '; 2 attempts with it go on there'],
])('a cordon of an agent with %i attempts', (handedOut, text) => {
  expect(stillThere({ handedOut })).toBe(text);
});
