/**
 * Finds the program of a step as execve would, and says what is wrong with it beforehand:
 * for the scan rung, where Node's spawn would hand a file that is not a program to /bin/sh.
 * meshrun does the same in exec.c, on the real errno.
 */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { ExecFailed } from '../record/step-record.ts';

export type Failed = ExecFailed & { readonly kind: 'failed' };
export type ProgramCheck = { readonly kind: 'found'; readonly path: string } | Failed;

const { ENOENT, ENOTDIR, EACCES, ENOEXEC } = { ENOENT: 2, ENOTDIR: 20, EACCES: 13, ENOEXEC: 8 };
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

export function checkProgram(name: string, cwd: string, path = DEFAULT_PATH): ProgramCheck {
  const cwdWrong = checkCwd(cwd);
  if (cwdWrong !== null) return cwdWrong;
  if (name === '') return failed(ENOENT, 'not-found', name);
  if (name.includes('/')) return checkFile(isAbsolute(name) ? name : join(cwd, name));
  let denied: Failed | null = null;
  for (const dir of path.split(':')) {
    const found = checkFile(join(isAbsolute(dir) ? dir : join(cwd, dir), name));
    if (found.kind === 'found') return found;
    if (found.errno === EACCES) denied ??= found.reason === 'is-directory' ? null : found;
    else if (found.errno !== ENOENT) return found;
  }
  return denied ?? failed(ENOENT, 'not-found', name);
}

function checkCwd(cwd: string): Failed | null {
  try {
    if (statSync(cwd).isDirectory()) return null;
    return { ...failed(ENOTDIR, 'not-directory', cwd), stage: 'cwd' };
  } catch {
    return { ...failed(ENOENT, 'not-found', cwd), stage: 'cwd' };
  }
}

function checkFile(path: string): ProgramCheck {
  try {
    if (statSync(path).isDirectory()) return failed(EACCES, 'is-directory', path);
  } catch {
    return failed(ENOENT, 'not-found', path);
  }
  try {
    accessSync(path, constants.X_OK);
  } catch {
    return failed(EACCES, 'not-executable', path);
  }
  const magic = firstBytes(path);
  const isElf = magic?.toString('latin1', 0, 4) === '\x7fELF';
  if (magic === null || magic.toString('latin1', 0, 2) === '#!') return { kind: 'found', path };
  if (!isElf) return failed(ENOEXEC, magic[0] ? 'no-interpreter-line' : 'empty', path);
  // 64 bits, and long enough to hold the header: what else is wrong only execve knows.
  return magic.length === 64 ? { kind: 'found', path } : failed(ENOEXEC, 'corrupt', path);
}

/** Null if it may be executed but not read. */
function firstBytes(path: string): Buffer | null {
  try {
    const fd = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(64);
      return bytes.subarray(0, readSync(fd, bytes));
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}

function failed(errno: number, reason: string, path: string): Failed {
  return { kind: 'failed', type: 'exec_failed', errno, stage: 'exec', reason, path };
}
