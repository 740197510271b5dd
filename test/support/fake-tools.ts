/**
 * Fake vendor tools in a folder for PATH: they answer from files, which may be replaced while an agent
 * uses them, and keep a list of how they were called.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { section, type Capture, type Load } from './smi-captures.ts';

export type Answers = Readonly<
  Partial<Record<'gpus' | 'processes' | 'version' | 'list' | 'details' | 'table', string>>
>;

export class FakeTools {
  readonly dir: string;
  #generation = 0;

  constructor(dir: string) {
    this.dir = dir;
    mkdirSync(dir, { recursive: true });
  }

  /** PATH with this folder first. */
  get path(): string {
    return `${this.dir}:${process.env['PATH'] ?? ''}`;
  }

  /** nvidia-smi replays a capture. */
  replay(capture: Capture, load: Load): void {
    this.answer({
      gpus: section(capture, `${load}-gpus`),
      processes: section(capture, `${load}-processes`),
      version: section(capture, 'version'),
      list: section(capture, 'list'),
      details: section(capture, `${load}-details`),
      table: section(capture, 'idle-table'),
    });
  }

  /**
   * nvidia-smi answers so; `before` is shell code that runs first and may end it. What runs at this
   * moment has the old answers or the new ones, never some of both.
   */
  answer(answers: Answers, before = ''): void {
    this.#generation += 1;
    const next = join(this.dir, `answers.${this.#generation}`);
    mkdirSync(next);
    for (const [name, text] of Object.entries(answers)) writeFileSync(join(next, name), text);
    writeFileSync(join(next, 'before'), before);
    this.install(
      'nvidia-smi',
      [
        `echo "$*" >>'${this.dir}/calls'`,
        `cd '${next}' && . ./before`,
        'case "$*" in',
        '  *--query-gpu=*) exec cat gpus ;;',
        '  *--query-compute-apps=*) exec cat processes ;;',
        '  *--version*) exec cat version ;;',
        '  *-L*) exec cat list ;;',
        '  *-q*) exec cat details ;;',
        '  *) exec cat table ;;',
        'esac',
      ].join('\n'),
    );
  }

  /**
   * nvidia-smi that loops: prints `header`, then runs `script` beside a file `rows`; else as a capture, but for
   * `gpus`. Returns the file of who uses a GPU, to which lines may be added.
   */
  loop(
    script: string,
    {
      header,
      rows,
      gpus,
    }: { readonly header: string; readonly rows: string; readonly gpus?: string },
  ): string {
    this.replay('l40s', 'idle');
    const next = join(this.dir, `answers.${this.#generation}`);
    if (gpus !== undefined) writeFileSync(join(next, 'gpus'), gpus);
    writeFileSync(join(next, 'header'), header === '' ? '' : `${header}\n`);
    writeFileSync(join(next, 'rows'), rows);
    writeFileSync(join(next, 'processes'), 'gpu_uuid, pid, used_gpu_memory [MiB], process_name\n');
    writeFileSync(
      join(next, 'before'),
      `case "$*" in *-lms*) cat header; eval "$(cat loop)"; exit ;; esac\n`,
    );
    writeFileSync(join(next, 'loop'), `${script}\n`);
    return join(next, 'processes');
  }

  /** A tool that is this shell script. */
  install(name: string, script: string): void {
    const file = join(this.dir, name);
    writeFileSync(`${file}.next`, `#!/bin/sh\n${script}\n`);
    chmodSync(`${file}.next`, 0o755);
    renameSync(`${file}.next`, file);
  }

  remove(name: string): void {
    rmSync(join(this.dir, name), { force: true });
  }

  /** Arguments of each call of nvidia-smi so far. */
  calls(): string[] {
    const file = join(this.dir, 'calls');
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  }
}
