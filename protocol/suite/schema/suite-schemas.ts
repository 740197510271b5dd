/**
 * The schemas of a suite's result files: written out in it, or in a file beside it. From the tree, so that
 * what is wrong is said at its place.
 */
import { toError } from '../../messages/errors.ts';
import { formatProblem, placeFindings, type Finding, type Path } from '../problem.ts';
import { readYaml } from '../read-yaml.ts';
import { child, items, keyOriginOf, originOf, toPlain, type Tree } from '../tree.ts';
import { schemaProblems, type JsonSchema } from './json-schema.ts';

/** The text of a file named in a suite, by its path as written there. Throws with the reason. */
export type ReadNamed = (path: string) => string;

export interface SuiteSchemas {
  /** By their place in `files`. */
  readonly schemas: ReadonlyMap<number, JsonSchema>;
  readonly findings: readonly Finding[];
}

export function suiteSchemas(
  tree: Tree,
  source: { readonly dir: string | null; readonly read: ReadNamed },
): SuiteSchemas {
  const schemas = new Map<number, JsonSchema>();
  const findings: Finding[] = [];
  items(child(tree, 'files')).forEach((file, at) => {
    const written = child(file, 'schema');
    const isText = written?.kind === 'scalar' && typeof written.value === 'string';
    // Anything else is no schema whatever it says: the form tells.
    if (written === null || (!isText && written.kind !== 'map')) return;
    const path = ['files', at, 'schema'];
    const found =
      written.kind === 'scalar' && typeof written.value === 'string'
        ? readSchema(written.value, source)
        : checkedSchema(written);
    if (found.kind === 'schema') schemas.set(at, found.schema);
    else findings.push(...found.findings.map((one) => ({ ...one, path: [...path, ...one.path] })));
    if (found.kind === 'named') findings.push({ at: written.at, path, message: found.reason });
  });
  return { schemas, findings };
}

type Checked =
  | { readonly kind: 'schema'; readonly schema: JsonSchema }
  | { readonly kind: 'wrong'; readonly findings: readonly Finding[] };

function checkedSchema(tree: Tree): Checked {
  const plain = toPlain(tree);
  const problems = schemaProblems(plain);
  if (problems.length === 0) return { kind: 'schema', schema: plain as JsonSchema };
  const findings = problems.map(({ path, isKey, message }) => ({
    at: isKey === true ? keyOrigin(tree, path) : originOf(tree, path),
    path,
    message,
  }));
  return { kind: 'wrong', findings };
}

function keyOrigin(tree: Tree, path: Path): Finding['at'] {
  return keyOriginOf(tree, path.slice(0, -1), String(path.at(-1)));
}

/** What is wrong in the file is said with its place there. */
function readSchema(
  name: string,
  { dir, read }: { readonly dir: string | null; readonly read: ReadNamed },
): Checked | { readonly kind: 'named'; readonly reason: string; readonly findings: readonly [] } {
  const named = (reason: string): ReturnType<typeof readSchema> => ({
    kind: 'named',
    reason,
    findings: [],
  });
  if (dir === null && !name.startsWith('/'))
    return named(
      'is relative to the folder of the suite, but the suite was read from standard input; write an absolute path',
    );
  let text: string;
  try {
    text = read(name);
  } catch (error) {
    return named(`${name} cannot be read: ${toError(error).message}`);
  }
  const { tree, findings, position } = readYaml(text);
  const checked =
    tree === null || findings.length > 0
      ? { kind: 'wrong' as const, findings }
      : checkedSchema(tree);
  if (checked.kind === 'schema') return checked;
  const [first, ...more] = placeFindings(checked.findings, name, position).map(formatProblem);
  return named(
    `${first ?? `${name} is no schema`}${more.length === 0 ? '' : ` (and ${more.length} more)`}`,
  );
}
