/**
 * Credentials come from files, never from argv (facts, section 4). Two forms are read: an nkey seed
 * on a line of its own (`SU...`; lines starting with # or - are skipped), or JSON
 * `{"user": "...", "password": "..."}`. Files are written with mode 0600.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createUser } from '@nats-io/nkeys';
import { z } from 'zod';
import { MeshError, toError } from '../messages/errors.ts';

export type Credential =
  | { readonly kind: 'nkey'; readonly seed: Uint8Array }
  | { readonly kind: 'password'; readonly user: string; readonly password: string };

const UserPassword = z.object({ user: z.string().min(1), password: z.string() });

/** Reads a credential file. Throws MeshError `config_invalid` naming the file, never its content. */
export async function readCredential(file: string): Promise<Credential> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new MeshError(
      'config_invalid',
      `credential file ${file} cannot be read: ${toError(error).message}`,
      error,
    );
  }
  const credential = parseCredential(text);
  if (credential === null) {
    throw new MeshError(
      'config_invalid',
      `credential file ${file} holds neither an nkey seed (SU...) nor JSON with user and password`,
    );
  }
  return credential;
}

/** Null for text of neither form. */
export function parseCredential(text: string): Credential | null {
  if (text.trimStart().startsWith('{')) {
    try {
      const parsed = UserPassword.safeParse(JSON.parse(text));
      return parsed.success ? { kind: 'password', ...parsed.data } : null;
    } catch {
      return null;
    }
  }
  const seed = text
    .split('\n')
    .map((line) => line.trim())
    .find((line) => /^SU[A-Z2-7]{50,}$/.test(line));
  return seed === undefined ? null : { kind: 'nkey', seed: new TextEncoder().encode(seed) };
}

/**
 * Makes an nkey user: the seed goes into `file` (0600), the public key is what a server's config
 * lists. Throws the system error when the file cannot be written.
 */
export async function createNkeyFile(file: string): Promise<{ publicKey: string }> {
  const user = createUser();
  const seed = new TextDecoder().decode(user.getSeed());
  await writeFile(file, `# nkey of this mesh: keep it secret\n${seed}\n`, { mode: 0o600 });
  return { publicKey: user.getPublicKey() };
}
