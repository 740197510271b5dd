/**
 * YAML 1.2 (and so JSON) text to a tree with positions. Anchors, aliases and `<<` merge keys are
 * resolved here; a key written twice, an unknown alias and an alias to itself are findings.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import type { Finding, Origin, Path } from './problem.ts';
import type { Entry, MapTree, Scalar, Tree } from './tree.ts';

/** More values than this are an attack by aliases, not a suite. */
const MAX_VALUES = 200_000;
const MAX_DEPTH = 64;
const TOO_DEEP = `nested deeper than ${MAX_DEPTH} levels`;

export interface YamlText {
  readonly tree: Tree | null;
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly position: (offset: number) => { line: number; col: number };
}

export function readYaml(text: string, option?: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    strict: true,
  });
  const position = (offset: number) => lines.linePos(offset);
  const reader = new Reader(document, option);
  // The parser recurses: too deep a text exhausts it at every level, and says so of each.
  const tooDeep = document.errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  const findings: Finding[] = (tooDeep === undefined ? document.errors : [tooDeep]).map(
    ({ code, message, pos }) => ({
      at: reader.origin(pos[0]),
      path: [],
      message: yamlProblem(code, message),
    }),
  );
  const warnings = document.warnings.map(({ message, pos }) => ({
    at: reader.origin(pos[0]),
    path: [],
    message: oneLine(message),
  }));
  const isReadable = document.errors.every(({ code }) => code === 'DUPLICATE_KEY');
  const tree = isReadable ? reader.read(document.contents, [], []) : null;
  return { tree, findings: [...findings, ...reader.findings], warnings, position };
}

function yamlProblem(code: string, message: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'this key is written twice in the same map; keep one of them';
    case 'MULTIPLE_DOCS':
      return 'this must be one YAML document; remove the second one (after "---")';
    case 'RESOURCE_EXHAUSTION':
      return TOO_DEEP;
    default:
      return `this is not YAML: ${oneLine(message)}`;
  }
}

function oneLine(message: string): string {
  return message.replace(/\s+/g, ' ').trim();
}

class Reader {
  readonly findings: Finding[] = [];
  readonly #document: Document.Parsed;
  readonly #option: string | undefined;
  readonly #targets = new Map<Alias, Node | undefined>();
  #values = 0;

  constructor(document: Document.Parsed, option: string | undefined) {
    this.#document = document;
    this.#option = option;
  }

  origin(offset: number): Origin {
    return this.#option === undefined ? { offset } : { option: this.#option };
  }

  /** `open` holds the collections being read: an alias to one of them has no end. */
  read(node: Node | null, path: Path, open: readonly Node[]): Tree {
    const at = this.origin(node?.range?.[0] ?? 0);
    this.#values += 1;
    if (this.#values === MAX_VALUES + 1)
      this.#find(at, path, `more than ${MAX_VALUES} values; aliases multiply, use fewer`);
    if (node === null || this.#values > MAX_VALUES || open.length > MAX_DEPTH) {
      if (open.length > MAX_DEPTH) this.#find(at, path, TOO_DEEP);
      return { kind: 'scalar', at, value: null, source: '' };
    }
    if (isAlias(node)) {
      const target = this.#target(node);
      if (target === undefined) this.#find(at, path, `no anchor &${node.source} before this alias`);
      else if (open.includes(target)) this.#find(at, path, `*${node.source} contains itself`);
      else return this.read(target, path, open);
      return { kind: 'scalar', at, value: null, source: '' };
    }
    if (isMap(node)) return this.#readMap(node as YAMLMap<Node, Node | null>, path, open);
    if (isSeq(node)) {
      const list = node.items as (Node | null)[];
      const within = [...open, node];
      return {
        kind: 'list',
        at,
        items: list.map((item, i) => this.read(item, [...path, i], within)),
      };
    }
    if (!isScalar(node)) return { kind: 'scalar', at, value: null, source: '' };
    const value = typeof node.value === 'bigint' ? Number(node.value) : (node.value as Scalar);
    const isPlain = node.type === 'PLAIN' && node.source !== undefined;
    return { kind: 'scalar', at, value, source: isPlain ? (node.source ?? '') : String(value) };
  }

  /** Resolving walks the document, so it is done once for each alias. */
  #target(alias: Alias): Node | undefined {
    if (!this.#targets.has(alias)) this.#targets.set(alias, alias.resolve(this.#document));
    return this.#targets.get(alias);
  }

  #readMap(node: YAMLMap<Node, Node | null>, path: Path, open: readonly Node[]): MapTree {
    const own = new Map<string, Entry>();
    const merged = new Map<string, Entry>();
    const within = [...open, node];
    for (const { key, value } of node.items) {
      const keyAt = this.origin(key.range?.[0] ?? 0);
      if (!isScalar(key)) {
        this.#find(keyAt, path, 'a key must be plain text');
        continue;
      }
      const name = key.type === 'PLAIN' ? (key.source ?? String(key.value)) : String(key.value);
      // Objects have one of their own: an entry of this name would be lost without a word.
      if (name === '__proto__')
        this.#find(keyAt, [...path, name], '"__proto__" cannot be a name; choose another');
      else if (name === '<<' && key.type === 'PLAIN') this.#mergeInto(merged, value, path, within);
      else own.set(name, { keyAt, value: this.read(value, [...path, name], within) });
    }
    // What a map says itself wins over what it merges.
    const entries = new Map([...merged, ...own]);
    return { kind: 'map', at: this.origin(node.range?.[0] ?? 0), entries };
  }

  #mergeInto(into: Map<string, Entry>, node: Node | null, path: Path, open: readonly Node[]): void {
    const source = this.read(node, path, open);
    const maps = source.kind === 'list' ? source.items : [source];
    for (const map of maps) {
      if (map.kind !== 'map') {
        this.#find(map.at, path, '<< takes a map, an alias to one (*name), or a list of those');
        continue;
      }
      // The first of several wins, as YAML's merge key says.
      for (const [key, entry] of map.entries) if (!into.has(key)) into.set(key, entry);
    }
  }

  #find(at: Origin, path: Path, message: string): void {
    this.findings.push({ at, path, message });
  }
}
