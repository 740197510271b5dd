/** A text file named by a person: a regular file, UTF-8, or one line that says what it is instead. */
import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { MeshError, toError, type ErrorCode } from '#protocol/messages/errors.ts';

const NAMED_MOST = 1024 * 1024;

export interface NamedText {
  /** As it was named. */
  readonly name: string;
  /** Of the error for what is no text. */
  readonly code: ErrorCode;
  /** What to do about a pipe or a device, to follow `it is no regular file`; default nothing. */
  readonly hint?: string;
}

/** Rejects with `file_not_found`, or with `code` for bytes that are no UTF-8. */
export async function readText(path: string, named: NamedText): Promise<string> {
  try {
    const about = await stat(path);
    // A pipe without a writer would be waited for without a word, a device read for ever.
    if (!about.isFile() && !about.isDirectory())
      throw new Error(`it is no regular file${named.hint ?? ''}`);
    return textOf(await readFile(path), named);
  } catch (error) {
    if (error instanceof MeshError) throw error;
    const reason = toError(error).message;
    throw new MeshError('file_not_found', `${named.name} cannot be read: ${reason}`, error);
  }
}

/** A small file that a text names, as its bytes say. Throws with the reason alone. */
export function readNamed(path: string): string {
  const about = statSync(path);
  if (!about.isFile()) throw new Error('it is no regular file');
  if (about.size > NAMED_MOST) throw new Error(`it has more than ${NAMED_MOST} bytes`);
  const bytes = readFileSync(path);
  if (!isUtf8(bytes)) throw new Error('it is not UTF-8');
  return bytes.toString('utf8');
}

export async function readStdin(code: ErrorCode): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return textOf(Buffer.concat(parts), { name: 'stdin', code });
}

/** Bytes that are no text would be kept as something else than was written. */
function textOf(bytes: Buffer, { name, code }: NamedText): string {
  const text = bytes.toString('utf8');
  if (isUtf8(bytes)) return text;
  let from = 0;
  for (let line = 1; ; line += 1) {
    const newline = bytes.indexOf(10, from);
    const part = bytes.subarray(from, newline < 0 ? undefined : newline);
    if (!isUtf8(part)) {
      const column = part.toString('utf8').indexOf('\uFFFD') + 1;
      throw new MeshError(
        code,
        `${name}:${line}:${column}: this is not UTF-8; save the file as UTF-8`,
      );
    }
    from = newline + 1;
  }
}
