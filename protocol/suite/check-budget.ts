/**
 * Keys about the end of a run that mean nothing without each other, in the suite as it is run: its budget
 * may be that of a profile, or given with `--set`.
 */
import type { Finding } from './problem.ts';
import { child, keyOriginOf, type Tree } from './tree.ts';

export function checkBudget(tree: Tree): Finding[] {
  const has = (key: string): boolean => child(tree, key) !== null;
  const repeat = child(tree, 'repeat');
  const cycles = repeat?.kind === 'scalar' && repeat.value === 'until-budget';
  const findings: Finding[] = [];
  const say = (key: string, message: string): void => {
    findings.push({ at: keyOriginOf(tree, [], key), path: [key], message });
  };
  if (cycles && !has('runBudget'))
    say('repeat', 'needs runBudget: how long the list is cycled, such as runBudget: 1h');
  if (cycles && has('repeats'))
    say(
      'repeats',
      'repeat: until-budget measures every cell again and again; remove one of the two',
    );
  if (has('maxCycles') && !has('repeat'))
    say('maxCycles', 'belongs to repeat: until-budget; write repeats for a fixed number');
  if (has('atBudget') && !has('runBudget'))
    say('atBudget', 'needs runBudget: the time after which nothing new starts');
  return findings;
}
