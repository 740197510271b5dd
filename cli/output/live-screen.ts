/** A few lines of a terminal that are drawn again and again until closed; notes go above them. */
import { createLogUpdate } from 'log-update';
import { guardNotes } from './terminal.ts';

const FRAME_MS = 100;
const LEAST_COLUMNS = 20;

export class LiveScreen {
  readonly #update: ReturnType<typeof createLogUpdate>;
  readonly #timer: NodeJS.Timeout;

  /** `linesFor` is asked for the lines at each frame; null: there is nothing to draw yet. */
  constructor(stream: NodeJS.WriteStream, linesFor: (width: number) => readonly string[] | null) {
    this.#update = createLogUpdate(stream);
    guardNotes(() => {
      this.#update.clear();
    });
    this.#timer = setInterval(() => {
      const lines = linesFor(Math.max(LEAST_COLUMNS, stream.columns - 1));
      if (lines !== null) this.#update(lines.join('\n'));
    }, FRAME_MS);
  }

  /** Leaves the screen clean. */
  close(): void {
    clearInterval(this.#timer);
    guardNotes(null);
    this.#update.clear();
    this.#update.done();
  }
}
