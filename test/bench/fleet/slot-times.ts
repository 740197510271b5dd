/** When the slots of simulated hosts were taken and given back, as numbers that a process hands on whole. */

/** One attempt on its slot. Times are those of `sharedNowMs`. */
export interface SlotTime {
  readonly beganMs: number;
  /** As its command says; how late a timer of a busy process was is no use of the slot. */
  readonly askedMs: number;
  /** Since the attempt before it on the slot was over; -1 for the first. */
  readonly gapMs: number;
}

const FIELDS = 3;

/** Milliseconds of a clock that all processes of the machine share. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class SlotTimes {
  readonly #numbers: number[] = [];

  add({ beganMs, askedMs, gapMs }: SlotTime): void {
    this.#numbers.push(beganMs, askedMs, gapMs);
  }

  take(): Float64Array {
    return Float64Array.from(this.#numbers.splice(0));
  }
}

export function* slotTimesIn(numbers: Float64Array): Generator<SlotTime> {
  for (let at = 0; at + FIELDS <= numbers.length; at += FIELDS) {
    const [beganMs = 0, askedMs = 0, gapMs = 0] = numbers.subarray(at, at + FIELDS);
    yield { beganMs, askedMs, gapMs };
  }
}

/** Slot-milliseconds in use between two moments. */
export function busyMs(
  times: Iterable<SlotTime>,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): number {
  let sum = 0;
  for (const { beganMs, askedMs } of times)
    sum += Math.max(0, Math.min(toMs, beganMs + askedMs) - Math.max(fromMs, beganMs));
  return sum;
}
