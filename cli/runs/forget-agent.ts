/** Has the coordinator give up an agent whose host is gone for good. */
import { ForgetReply, type ForgetRequest } from '#protocol/messages/agent/forget.ts';
import type { JsonFlag, MeshFlags } from '../command.ts';
import { openMesh } from '../mesh/find-mesh.ts';
import { operator } from '../mesh/home.ts';
import { plural } from '../output/format.ts';
import { terminal } from '../output/terminal.ts';
import { askCoordinator } from './ask-coordinator.ts';

export interface ForgetFlags extends MeshFlags, JsonFlag {
  readonly reason?: string;
  readonly force?: boolean;
}

/** Resolves when it is stored. Rejects with `not_found` or `agent_present`. */
export async function forgetAgent(agent: string, flags: ForgetFlags): Promise<void> {
  const mesh = await openMesh(flags, 'agents forget');
  try {
    const { reason = null, force = false } = flags;
    const request: ForgetRequest = { agent, by: operator(), reason, force };
    const reply = await askCoordinator(mesh.connection, {
      verb: 'forget',
      request,
      parse: (answer) => ForgetReply.parse(answer),
    });
    if (flags.json === true) terminal.printJson('agents forget', reply);
    else terminal.print(`agent ${agent} is forgotten${goesOn(reply)}`);
  } finally {
    await mesh.close();
  }
}

function goesOn({ lost }: ForgetReply): string {
  return lost === 0
    ? ''
    : `; ${plural(lost, 'attempt')} with it given up, whether dead is not verified`;
}
