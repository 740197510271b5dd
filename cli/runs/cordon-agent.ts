/** Keeps new work from an agent, or lets it have some again: an order that the coordinator keeps. */
import { CordonReply, type DrainRequest } from '#protocol/messages/agent/drain.ts';
import type { JsonFlag, MeshFlags } from '../command.ts';
import { openMesh } from '../mesh/find-mesh.ts';
import { operator } from '../mesh/home.ts';
import { plural } from '../output/format.ts';
import { terminal } from '../output/terminal.ts';
import { askCoordinator } from './ask-coordinator.ts';

export interface CordonFlags extends MeshFlags, JsonFlag {
  readonly reason?: string;
}

/** Resolves when it is stored. Rejects with `not_found` where no such agent has joined. */
export async function cordonAgent(
  agent: string,
  { undo, flags }: { readonly undo: boolean; readonly flags: CordonFlags },
): Promise<void> {
  const mesh = await openMesh(flags, 'cordon');
  try {
    const request: DrainRequest = { agent, by: operator(), reason: flags.reason ?? null, undo };
    const reply = await askCoordinator(mesh.connection, {
      verb: 'cordon',
      request,
      parse: (answer) => CordonReply.parse(answer),
    });
    if (flags.json === true) terminal.printJson(undo ? 'uncordon' : 'cordon', reply);
    else if (undo) terminal.print(`agent ${agent} may have new work`);
    else terminal.print(`agent ${agent} is handed nothing new${stillThere(reply)}`);
  } finally {
    await mesh.close();
  }
}

/** `; 2 attempts with it go on there`, or nothing. */
export function stillThere({ handedOut }: Pick<CordonReply, 'handedOut'>): string {
  if (handedOut === 0) return '';
  return `; ${plural(handedOut, 'attempt')} with it ${handedOut === 1 ? 'goes' : 'go'} on there`;
}
