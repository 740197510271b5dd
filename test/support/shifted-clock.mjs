/**
 * `node --import` of this shifts the wall clock of the process by as many ms as $SHIFTED_CLOCK, a file,
 * says at the moment: what an NTP step does. The monotonic clock and the timers go on, as they do then.
 */
import { readFileSync } from 'node:fs';

const file = process.env['SHIFTED_CLOCK'] ?? '';
const RealDate = Date;

function shiftMs() {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
}

globalThis.Date = class Date extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + shiftMs());
    else super(...given);
  }

  static now() {
    return RealDate.now() + shiftMs();
  }
};
