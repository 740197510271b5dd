/** The coordinator as it is installed, on a server of a bench. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { programFile } from '#cli/mesh/programs.ts';
import type { TestServer } from '#test/support/nats-server.ts';

interface CoordinatorWays {
  readonly nodeFlags?: readonly string[];
  /** Further flags of its own. */
  readonly flags?: readonly string[];
}

/** Its results and its log (`coordinator.log`) are in `folder`. */
export function startCoordinator(
  { url, credentialFile }: TestServer,
  folder: string,
  { nodeFlags = [], flags: further = [] }: CoordinatorWays = {},
): ChildProcess {
  const flags = {
    '--id': 'bench',
    '--server': url,
    '--credential': credentialFile,
    '--results': join(folder, 'results'),
    '--log-file': join(folder, 'coordinator.log'),
  };
  return spawn(
    process.execPath,
    [...nodeFlags, programFile('coordinator'), ...Object.entries(flags).flat(), ...further],
    { stdio: 'inherit' },
  );
}
