/** Retries that raise needs, and limits that follow them: only what the suite asks for. */
import type { Finding, Path } from './problem.ts';
import { RAISED } from './raise-form.ts';
import { child, keyOriginOf, keys, originOf, type Tree } from './tree.ts';

/** Of a suite as it is run. */
export function checkRaises(tree: Tree): Finding[] {
  const needs = child(tree, 'needs');
  const retries = child(tree, 'retries');
  const raises = keys(retries).flatMap((name) => {
    const path = ['retries', name];
    return RAISED.filter((key) => child(child(retries, name), key) !== null).flatMap((key) => {
      const message = whyNot(needs, name, key);
      return message === null
        ? []
        : [{ at: keyOriginOf(tree, path, key), path: [...path, key], message }];
    });
  });
  return [...raises, ...limitsWithoutNeeds(tree)];
}

function whyNot(needs: Tree | null, name: string, key: (typeof RAISED)[number]): string | null {
  if (name === 'lost' || name === 'partition')
    return `says nothing of what the task needs: its host was ${name === 'lost' ? 'lost' : 'cut off'}`;
  switch (key) {
    case 'memory':
      return child(needs, 'memory') === null ? 'raises needs.memory, which is not given' : null;
    case 'cpus':
      return child(needs, 'cpus') === null ? 'raises needs.cpus, which is not given' : null;
    case 'vram':
      return child(child(needs, 'gpus'), 'memory') === null
        ? 'raises needs.gpus.memory, which is not given'
        : null;
    case 'slots': {
      const exclusive = child(needs, 'exclusive');
      const takesAll =
        exclusive === null || (exclusive.kind === 'scalar' && exclusive.value === true);
      return takesAll
        ? 'raises nothing: the task takes its whole host; needs.exclusive: false lets it take slots'
        : null;
    }
  }
}

/** `limits.memory: needs`, of the suite and of its commands. */
function limitsWithoutNeeds(tree: Tree): Finding[] {
  if (child(child(tree, 'needs'), 'memory') !== null) return [];
  const message = 'follows needs.memory, which is not given';
  return pathsOfLimits(tree, []).map((path) => ({ at: originOf(tree, path), path, message }));
}

function pathsOfLimits(tree: Tree | null, path: Path): Path[] {
  if (tree?.kind === 'list')
    return tree.items.flatMap((item, at) => pathsOfLimits(item, [...path, at]));
  if (tree?.kind !== 'map') return [];
  const memory = child(child(tree, 'limits'), 'memory');
  const own = memory?.kind === 'scalar' && memory.value === 'needs';
  const inner = [...tree.entries].filter(([key]) => path.length > 0 || COMMANDS.has(key));
  return [
    ...(own ? [[...path, 'limits', 'memory']] : []),
    ...inner.flatMap(([key, { value }]) => pathsOfLimits(value, [...path, key])),
  ];
}

const COMMANDS = new Set([
  ...['hostSetup', 'preflight', 'setup', 'service', 'load', 'run', 'collect', 'teardown'],
]);
