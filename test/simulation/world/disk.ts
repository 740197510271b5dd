/**
 * The disks of all simulated hosts: what node:fs does below ROOT, in memory. What a process wrote
 * outlives it; the write by which it dies is torn. A dead process writes nothing any more.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type { World } from './world.ts';

export const ROOT = '/simulated';
const FIRST_FD = 1_000_000;

interface File {
  bytes: Buffer;
  size: number;
}

type Path = unknown;

interface Opened {
  readonly file: File;
  readonly appends: boolean;
}

export class Disk {
  readonly #world: World;
  readonly #files = new Map<string, File>();
  readonly #folders = new Set<string>([ROOT]);
  readonly #opened = new Map<number, Opened>();
  #nextFd = FIRST_FD;

  constructor(world: World) {
    this.#world = world;
  }

  /** Answers what puts the real one back. */
  install(): () => void {
    const sync: Record<string, unknown> = {
      existsSync: (path: Path) => this.#has(path),
      mkdirSync: (path: Path, options?: { recursive?: boolean }) => {
        this.#mkdir(path, options?.recursive === true);
      },
      openSync: (path: Path, flags: unknown) => this.#open(path, String(flags)),
      closeSync: (fd: number) => {
        this.#opened.delete(fd);
      },
      writeSync: (fd: number, data: Uint8Array, ...rest: (number | undefined)[]) => {
        const [offset = 0, length = data.length - offset, position] = rest;
        return this.#write(fd, data.subarray(offset, offset + length), position ?? null);
      },
      ftruncateSync: (fd: number, size: number) => {
        this.#cut(this.#fileOf(fd), size);
      },
      readFileSync: (path: Path, encoding?: unknown) => this.#read(path, encoding),
      writeFileSync: (path: Path, data: string | Uint8Array) => {
        this.#replace(String(path), data);
      },
      renameSync: (from: Path, to: Path) => {
        this.#rename(String(from), String(to));
      },
      readdirSync: (path: Path) => this.#list(path),
      rmSync: (path: Path) => {
        this.#remove(path);
      },
      statSync: (path: Path, options?: { throwIfNoEntry?: boolean }) =>
        this.#stat(path, options?.throwIfNoEntry !== false),
      lstatSync: (path: Path) => this.#stat(path, true),
      fdatasync: (_fd: number, done: (error: Error | null) => void) => {
        this.#world.after(1, () => {
          done(null);
        });
      },
    };
    const promised: Record<string, unknown> = {
      mkdir: sync['mkdirSync'],
      readdir: sync['readdirSync'],
      readFile: sync['readFileSync'],
      writeFile: sync['writeFileSync'],
      rm: sync['rmSync'],
      lstat: sync['lstatSync'],
      stat: sync['statSync'],
      truncate: (path: Path, size: number) => {
        this.#cut(this.#known(path), size);
      },
      open: (path: Path) => this.#handle(this.#known(path)),
    };
    const undo = [...replaceIn(fs, sync, false), ...replaceIn(fs.promises, promised, true)];
    syncBuiltinESMExports();
    return () => {
      for (const put of undo) put();
      syncBuiltinESMExports();
    };
  }

  #has(path: Path): boolean {
    return this.#files.has(String(path)) || this.#folders.has(String(path));
  }

  #known(path: Path): File {
    const file = this.#files.get(String(path));
    if (file === undefined) throw failure('ENOENT', path);
    return file;
  }

  #fileOf(fd: number): File {
    const opened = this.#opened.get(fd);
    if (opened === undefined) throw failure('EBADF', fd);
    return opened.file;
  }

  #mkdir(path: Path, isDeep: boolean): void {
    const name = String(path);
    if (this.#folders.has(name)) {
      if (isDeep) return;
      throw failure('EEXIST', path);
    }
    const parent = name.slice(0, name.lastIndexOf('/'));
    if (!this.#folders.has(parent)) {
      if (!isDeep) throw failure('ENOENT', path);
      this.#mkdir(parent, true);
    }
    if (this.#world.touch() !== 'dead') this.#folders.add(name);
  }

  #open(path: Path, flags: string): number {
    const name = String(path);
    if (!this.#files.has(name) && !flags.startsWith('a') && !flags.startsWith('w'))
      throw failure('ENOENT', path);
    const file = this.#files.get(name) ?? { bytes: Buffer.alloc(0), size: 0 };
    if (this.#world.current?.isAlive !== false) {
      if (!this.#files.has(name)) this.#files.set(name, file);
      if (flags.startsWith('w')) file.size = 0;
    }
    this.#nextFd += 1;
    this.#opened.set(this.#nextFd, { file, appends: flags.startsWith('a') });
    return this.#nextFd;
  }

  #write(fd: number, data: Uint8Array, position: number | null): number {
    const opened = this.#opened.get(fd);
    if (opened === undefined) throw failure('EBADF', fd);
    const life = this.#world.touch();
    if (life === 'dead') return data.length;
    const torn =
      life === 'dying' ? Math.floor(this.#world.random() * (data.length + 1)) : data.length;
    put(
      opened.file,
      data.subarray(0, torn),
      opened.appends || position === null ? opened.file.size : position,
    );
    return data.length;
  }

  #cut(file: File, size: number): void {
    if (this.#world.touch() !== 'dead') file.size = Math.min(file.size, size);
  }

  #replace(path: string, data: string | Uint8Array): void {
    if (this.#world.touch() === 'dead') return;
    const bytes = Buffer.from(data as string);
    // A reserve: its size matters, not what is in it.
    const isBlank = path.endsWith('.reserve');
    this.#files.set(path, {
      bytes: isBlank ? Buffer.alloc(0) : bytes,
      size: isBlank ? 0 : bytes.length,
    });
  }

  #rename(from: string, to: string): void {
    if (this.#world.touch() === 'dead') return;
    this.#files.set(to, this.#known(from));
    this.#files.delete(from);
  }

  #read(path: Path, encoding: unknown): Buffer | string {
    const { bytes, size } = this.#known(path);
    const whole = Buffer.from(bytes.subarray(0, size));
    const isText = encoding !== undefined && encoding !== null;
    return isText ? whole.toString('utf8') : whole;
  }

  #list(path: Path): string[] {
    const name = String(path);
    if (!this.#folders.has(name)) throw failure('ENOENT', path);
    const below = [...this.#files.keys(), ...this.#folders].filter((each) =>
      each.startsWith(`${name}/`),
    );
    return [
      ...new Set(below.map((each) => each.slice(name.length + 1).split('/')[0] ?? '')),
    ].sort();
  }

  #remove(path: Path): void {
    if (this.#world.touch() === 'dead') return;
    const name = String(path);
    this.#files.delete(name);
    this.#folders.delete(name);
    for (const each of [...this.#files.keys()])
      if (each.startsWith(`${name}/`)) this.#files.delete(each);
    for (const each of [...this.#folders])
      if (each.startsWith(`${name}/`)) this.#folders.delete(each);
  }

  #stat(path: Path, throws: boolean): unknown {
    const file = this.#files.get(String(path));
    const isFolder = this.#folders.has(String(path));
    if (file === undefined && !isFolder) {
      if (throws) throw failure('ENOENT', path);
      return undefined;
    }
    return {
      size: file?.size ?? 0,
      mtimeMs: Number.MAX_SAFE_INTEGER,
      isDirectory: () => isFolder,
      isFile: () => !isFolder,
    };
  }

  #handle(file: File): unknown {
    return {
      read: (into: Buffer, offset: number, length: number, position: number) => {
        const bytesRead = file.bytes.copy(
          into,
          offset,
          position,
          Math.min(file.size, position + length),
        );
        return Promise.resolve({ bytesRead, buffer: into });
      },
      close: () => Promise.resolve(),
    };
  }
}

function put(file: File, data: Uint8Array, at: number): void {
  const end = at + data.length;
  if (end > file.bytes.length) {
    const larger = Buffer.alloc(Math.max(end, 2 * file.bytes.length, 1024));
    file.bytes.copy(larger, 0, 0, file.size);
    file.bytes = larger;
  }
  file.bytes.set(data, at);
  file.size = Math.max(file.size, end);
}

function failure(code: string, path: unknown): Error {
  return Object.assign(new Error(`${code}: ${String(path)}`), { code, path });
}

function isOurs(subject: unknown): boolean {
  return typeof subject === 'number'
    ? subject > FIRST_FD
    : typeof subject === 'string' && subject.startsWith(ROOT);
}

/** What is on a simulated disk goes there, all else to the real one. */
function replaceIn(
  module: object,
  fakes: Record<string, unknown>,
  isAsync: boolean,
): (() => void)[] {
  const target = module as Record<string, unknown>;
  return Object.entries(fakes).map(([name, fake]) => {
    const real = target[name] as (...args: unknown[]) => unknown;
    const ours = fake as (...args: unknown[]) => unknown;
    const asked = isAsync
      ? (...args: unknown[]): Promise<unknown> =>
          new Promise((resolve) => {
            resolve(ours(...args));
          })
      : ours;
    target[name] = (...args: unknown[]) => (isOurs(args[0]) ? asked(...args) : real(...args));
    return () => {
      target[name] = real;
    };
  });
}
