import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface Manifest {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
}

it('docs/dependencies.md gives the reason of every dependency', () => {
  const text = readFileSync('docs/dependencies.md', 'utf8');
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
  const names = [
    ...Object.keys(manifest.dependencies),
    ...Object.keys(manifest.devDependencies),
    ...Object.keys(manifest.optionalDependencies),
  ];
  const unexplained = names.filter(
    (name) => !text.includes(name) && !text.includes(name.replace('@nats-io/', '')),
  );
  expect(unexplained).toEqual([]);
});
