/** Phases that a suite counts by are phases that it declares. */
import { didYouMean, type Finding, type Path } from './problem.ts';
import { child, items, type Tree } from './tree.ts';

export function checkPhases(tree: Tree): Finding[] {
  const known = texts(child(tree, 'phases'));
  const findings: Finding[] = [];
  const look = (list: Tree | null, path: Path) => {
    items(list).forEach((node, i) => {
      if (node.kind !== 'scalar' || known.includes(String(node.value))) return;
      const phase = String(node.value);
      const declared = known.length === 0 ? 'declares none' : `declares ${known.join(', ')}`;
      const message = `"${phase}" is no phase of the suite, which ${declared} under phases.${didYouMean(phase, known)}`;
      findings.push({ at: node.at, path: [...path, i], message });
    });
  };
  look(child(child(tree, 'report'), 'phases'), ['report', 'phases']);
  items(child(tree, 'metrics')).forEach((metric, i) => {
    look(child(metric, 'phases'), ['metrics', i, 'phases']);
  });
  items(child(child(tree, 'health'), 'metrics')).forEach((rule, i) => {
    look(child(rule, 'phases'), ['health', 'metrics', i, 'phases']);
  });
  return findings;
}

function texts(list: Tree | null): string[] {
  return items(list).flatMap((node) => (node.kind === 'scalar' ? [String(node.value)] : []));
}
