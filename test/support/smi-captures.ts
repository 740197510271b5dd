/** What real nvidia-smi printed: the captures in test/fixtures/nvidia-smi, by section. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const DIR = join(import.meta.dirname, '..', 'fixtures', 'nvidia-smi');

export const CAPTURES = ['rtx-2080-super', 'h100', 'h100-mig', 'l40s'] as const;
export type Capture = (typeof CAPTURES)[number];
export type Load = 'idle' | 'load';

export function fixtureText(file: string): string {
  return readFileSync(join(DIR, file), 'utf8');
}

/** Every fixture as it is, for mutations. */
export function allFixtures(): string[] {
  return readdirSync(DIR)
    .filter((file) => file.endsWith('.txt'))
    .map(fixtureText);
}

/** Text of one section; throws where a capture lacks it. */
export function section(capture: Capture, name: string): string {
  const parts = fixtureText(`${capture}.txt`).split(/^##### (.*)\n/m);
  const at = parts.indexOf(name);
  const text = at === -1 ? undefined : parts[at + 1];
  if (text === undefined) throw new Error(`${capture} has no section ${name}`);
  return text;
}
