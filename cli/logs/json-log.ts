/** Log items as one JSON value a line: bytes in base64, so that nothing is lost. */
import type { LogStream } from '#protocol/messages/attempt/log.ts';
import { jsonLine } from '../output/terminal.ts';
import type { LogItem } from './log-cursor.ts';
import { LogPrinter, type LogOutput } from './log-printer.ts';

export class JsonLog extends LogPrinter {
  readonly #only: LogStream | null;
  readonly #write: LogOutput['write'];
  readonly #flush: LogOutput['flush'];
  #count = 0;

  constructor(only: LogStream | null, output: LogOutput) {
    super({ raw: true, timestamps: false, label: () => null, only }, output);
    this.#only = only;
    this.#write = output.write;
    this.#flush = output.flush;
  }

  override get bytes(): number {
    return this.#count;
  }

  override async print(item: LogItem): Promise<void> {
    if (item.kind === 'gap') {
      await this.#line({ ...item.ref, gap: { from: item.from, to: item.to } });
      return;
    }
    if (this.#only !== null && item.stream !== this.#only) return;
    this.#count += item.bytes.length;
    const { ref, stream, arrivalMs } = item;
    await this.#line({
      ...ref,
      stream,
      arrivalMs,
      base64: Buffer.from(item.bytes).toString('base64'),
    });
  }

  /** Every line is complete. */
  override async end(): Promise<void> {
    await this.#flush();
  }

  async #line(value: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#write(Buffer.from(`${jsonLine('log', value)}\n`));
  }
}
