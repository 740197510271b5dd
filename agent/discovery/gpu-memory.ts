/**
 * The GPUs of this host that were ever seen, in the state folder: one that is missing after a restart
 * is missed. Removing the file forgets them.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Gpu } from '#protocol/messages/agent/hardware.ts';

const Remembered = z.object({ version: z.literal(1), gpus: z.array(Gpu) });

export class GpuMemory {
  readonly #file: string;

  constructor(stateDir: string) {
    this.#file = join(stateDir, 'gpus.json');
  }

  /** None where there is no file, or none that can be read. */
  read(): Gpu[] {
    try {
      const parsed = Remembered.safeParse(JSON.parse(readFileSync(this.#file, 'utf8')));
      return parsed.success ? parsed.data.gpus : [];
    } catch {
      return [];
    }
  }

  /** Complete or not at all; throws the system's error. */
  write(gpus: readonly Gpu[]): void {
    const temporary = `${this.#file}.tmp`;
    writeFileSync(temporary, `${JSON.stringify({ version: 1, gpus })}\n`, { mode: 0o600 });
    renameSync(temporary, this.#file);
  }
}
