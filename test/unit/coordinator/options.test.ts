import { describe, expect, it } from 'vitest';
import { parseFlags } from '#coordinator/options.ts';

const NEEDED = ['--id', 'c', '--server', 'nats://h', '--results', '/r'];

describe("the coordinator's flags", () => {
  it('say how long an archived run stays in the streams', () => {
    expect(parseFlags(NEEDED).purgeAfterMs).toBeNull();
    expect(parseFlags([...NEEDED, '--purge-after', '3600']).purgeAfterMs).toBe(3_600_000);
  });

  it('say after how many failures a host is cordoned', () => {
    expect(parseFlags(NEEDED).cordonAfter).toBeNull();
    for (const count of [0, 3, 100])
      expect(parseFlags([...NEEDED, `--cordon-after=${count}`]).cordonAfter).toBe(count);
    for (const text of ['', '-1', '101', '2.5', 'never'])
      expect(() => parseFlags([...NEEDED, `--cordon-after=${text}`])).toThrow(
        `--cordon-after ${text}: a whole number is needed, 0 (never) to 100`,
      );
  });

  it.each(['', '-1', '5', 'soon'])('refuse %j for that, with one line', (text) => {
    expect(() => parseFlags([...NEEDED, `--purge-after=${text}`])).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: `--purge-after ${text}: a number of seconds is needed, 12 or more`,
      }),
    );
  });
});
