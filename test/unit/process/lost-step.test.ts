/** What is said of a step whose meshrun was killed, from what its cgroup and a scan showed (I5). */
import { expect, it } from 'vitest';
import { together } from '#agent/process/meshrun-client/lost-step.ts';

const cgroup = { isEmpty: true, processes: 3, waves: 1, survivors: [], oomKills: 0 };
const scan = { processes: 0, waves: 0, survivors: [] };

it.each([
  ['an empty cgroup and nothing outside', cgroup, scan, true],
  ['a process killed outside of it', cgroup, { ...scan, processes: 1, waves: 1 }, false],
  ['one outside that no signal ends', cgroup, { processes: 1, waves: 60, survivors: [7] }, false],
  ['one inside that no signal ends', { ...cgroup, isEmpty: false, survivors: [8] }, scan, false],
  ['a cgroup that cannot be read', { ...cgroup, isEmpty: false }, scan, false],
])('%s', (_name, ended, swept, isProven) => {
  const { proof, empty, survivors } = together(ended, swept);
  expect({ proof, empty }).toEqual({ proof: isProven ? 'cgroup' : 'scan', empty: isProven });
  expect(survivors).toEqual([...ended.survivors, ...swept.survivors]);
});
