/**
 * Writes the JSON Schema and a golden payload of every message version, or with --check compares
 * them with what is committed. A released version never changes: a golden payload that exists is
 * never rewritten, and a schema that differs from the committed one fails the check.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { CATALOG, type MessageName } from '#protocol/messages/catalog.ts';
import { decode, encode } from '#protocol/messages/envelope.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';

const SCHEMAS = 'protocol/messages/schemas';
const GOLDEN = 'protocol/messages/golden';
const check = process.argv.includes('--check');
const problems: string[] = [];

await mkdir(SCHEMAS, { recursive: true });
await mkdir(GOLDEN, { recursive: true });
const names = Object.keys(CATALOG) as MessageName[];
for (const name of names) {
  const { version, schema } = CATALOG[name];
  const file = `${name}.v${version}.json`;
  await settle(
    `${SCHEMAS}/${file}`,
    pretty(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })),
  );
  await settle(`${GOLDEN}/${file}`, golden(name));
}
await refuseStrangers(SCHEMAS);
await decodeAll();

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exitCode = 1;
} else {
  console.log(`${names.length} message types: schemas and golden payloads agree with the code`);
}

async function settle(path: string, expected: string): Promise<void> {
  const committed = await readFile(path, 'utf8').catch(() => null);
  if (committed === expected) return;
  if (!check && (committed === null || path.startsWith(SCHEMAS))) {
    await writeFile(path, expected);
    return;
  }
  problems.push(
    committed === null
      ? `${path}: missing; run npm run schemas`
      : `${path}: differs from the code; within a version only optional fields may be added, anything else needs a new version`,
  );
}

/** A committed file of an older version must still be read: its type stays in the catalog. */
async function refuseStrangers(folder: string): Promise<void> {
  for (const file of await readdir(folder)) {
    const name = file.replace(/\.v\d+\.json$/, '');
    if (!(name in CATALOG)) problems.push(`${folder}/${file}: no such message type in the catalog`);
  }
}

/** Every golden payload ever committed decodes with today's code. */
async function decodeAll(): Promise<void> {
  for (const file of await readdir(GOLDEN)) {
    const decoded = decode(await readFile(`${GOLDEN}/${file}`));
    if (decoded.kind === 'rejected') problems.push(`${GOLDEN}/${file}: ${decoded.reason}`);
  }
}

function golden(name: MessageName): string {
  const bytes = encode({
    name,
    data: goldenMessages[name],
    id: `golden-${name.replace('.', '-')}`,
    timeMs: Date.UTC(2026, 1, 13, 14, 30, 45),
    writer: { source: '/agents/local-1', instance: 'abcdefghijkmnpqrstuv', incarnation: 2 },
    seq: 1,
  });
  return pretty(JSON.parse(new TextDecoder().decode(bytes)) as unknown);
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
