import { describe, expect, it } from 'vitest';
import { Countdown } from '#cli/output/countdown.ts';
import { progressLine, progressTextLines } from '#cli/output/progress-text.ts';
import { styleFor } from '#cli/output/style.ts';
import { widthOf } from '#cli/output/text.ts';
import type { ProgressView } from '#protocol/fold/progress/progress-view.ts';
import { RUN } from '#test/support/records.ts';
import { TimedLog } from '#test/support/timed-log.ts';

const style = styleFor(false);

/** Half of a run on two slots: five tasks of ten have ended, the first at its second attempt. */
function halfRun(): TimedLog {
  const log = new TimedLog();
  log.agent('a1', { slots: 2 });
  log.begun(5, { repeats: 2, name: 'sizes' });
  log.begin(0);
  log.nowMs = 2_000;
  log.exit(0, { elapsedMs: 2_000, outcome: 'failed', class: 'signal' });
  log.retry(0, 1, 'signal');
  log.begin(0, 'a1', 2);
  for (let at = 1; at < 5; at += 1) {
    log.begin(at);
    log.nowMs += 1_000;
    if (at === 1) {
      log.exit(0, { elapsedMs: 1_000 }, { n: 2 });
      log.end(0, 'passed', 2);
    }
    log.exit(at, { elapsedMs: 1_000, outcome: at === 3 ? 'failed' : 'passed' });
    log.end(at, at === 3 ? 'failed' : 'passed');
  }
  log.begin(5);
  return log;
}

const text = (view: ProgressView): string =>
  progressTextLines(view, { style, width: null }).join('\n');

describe('progress', () => {
  it('says all of it on a few lines', () => {
    expect(text(halfRun().view())).toBe(
      `run ${RUN} running, sizes, 6.0 s at its last event
  tasks        50.0 % ended, 40.0 % passed, 80.0 % of what has ended
               5/10 tasks: 1 failed, 4 passed, 1 running, 4 pending
  cells        5 of 5 covered, 4 passed, 0 in every repeat
  rate         3000 tasks/h
  left         about 6.2 s (3.0 s to 9.4 s), by 5 ended tasks, 1.2 at a time
  recoveries   1 (1 signal), 2.0 s lost; 1 of 1 task passed after it
  utilisation  58.3 % of 2 slots on 1 agent
  hosts        not measured: no attempt of a second or more has ended`,
    );
  });

  it('of a run that has ended says no time left', () => {
    const log = halfRun();
    log.run('run.ended', { outcome: 'failed', counts: {}, reason: null });
    const said = text(log.view());
    expect(said).toMatch(/^run \S+ failed, sizes, 6\.0 s$/m);
    expect(said).not.toContain('left');
  });

  it('before anything has begun says what is not known, and why', () => {
    const log = new TimedLog();
    log.submitted();
    const said = text(log.view());
    expect(said).toContain('0 % ended, 0 % passed\n');
    expect(said).toMatch(/rate +unknown: nothing has begun\n/);
    expect(said).toMatch(/left +unknown: none of its tasks has begun\n/);
    expect(said).toMatch(/utilisation +unknown: nothing has begun\n/);
    const archived = { ...log.view(), utilisation: null };
    expect(text(archived)).toContain('does not say which agents there were');
  });

  it('tells the utilisation without the tail where that is another', () => {
    const view = halfRun().view();
    const used = { ratio: 0.5, whileWaiting: 0.98, busySlotMs: 1, usableSlotMs: 2 };
    const said = text({ ...view, utilisation: { ...used, agents: 2, slots: 8 } });
    expect(said).toContain('50.0 % of 8 slots on 2 agents, 98.0 % while tasks waited\n');
  });

  it('is never done before it is: shares are cut, not rounded', () => {
    const view = { ...halfRun().view(), endedPercent: 99.99, passedPercent: 99.96 };
    expect(text(view)).toContain('99.9 % ended, 99.9 % passed');
  });

  it.each([40, 60, 80, 120])('fits %d columns', (width) => {
    const view = { ...halfRun().view(), suite: 'a-suite-with-a-rather-long-name-for-it' };
    for (const colour of [false, true]) {
      const lines = progressTextLines(view, { style: styleFor(colour), width });
      for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
      expect(lines.join('\n')).toContain(RUN);
      const [, bar = ''] = lines;
      expect(widthOf(bar.trim())).toBe(Math.min(40, width - 4));
    }
  });

  it('on a screen goes on between events, and counts down', () => {
    const now = { elapsedMs: 8_000, sinceMs: 2_000 };
    const lines = progressTextLines(halfRun().view(), { style, width: 120, now });
    expect(lines[0]).toBe(`run ${RUN} running, sizes, 8.0 s`);
    expect(lines.join('\n')).toContain('about 4.2 s (1.0 s to 7.4 s)');
    const gone = { elapsedMs: 99_000, sinceMs: 93_000 };
    const late = progressTextLines(halfRun().view(), { style, width: 120, now: gone });
    expect(late.join('\n')).toContain('about 0 ms (0 ms to 0 ms)');
  });

  it('is one line in a log of it', () => {
    expect(progressLine(halfRun().view())).toBe(
      `run ${RUN} running: 50.0 % ended, 40.0 % passed, 80.0 % of what has ended; 5/10 tasks: 1 failed, 4 passed, 1 running, 4 pending; left about 6.2 s (3.0 s to 9.4 s), by 5 ended tasks, 1.2 at a time`,
    );
  });
});

describe('the countdown of a screen', () => {
  it('is estimated anew with what is new, at most once a second, and goes down between', () => {
    const log = halfRun();
    const fold = log.fold();
    const countdown = new Countdown();
    const first = countdown.read(fold, 50_000) ?? 0;
    expect(first).toBeGreaterThan(5_000);
    expect(countdown.read(fold, 50_400)).toBeCloseTo(first - 400);
    log.nowMs += 1_000;
    log.passed(5, 1_000);
    const next = log.fold();
    expect(countdown.read(next, 50_900)).toBeCloseTo(first - 900);
    expect(countdown.read(next, 51_000)).not.toBeCloseTo(first - 1_000);
    expect(countdown.read(next, 99_000)).toBe(0);
    expect(countdown.read({ ...next, state: 'ended' }, 99_000)).toBeNull();
  });
});
