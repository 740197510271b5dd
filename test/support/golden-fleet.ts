/** Golden messages about agents that take work or do not. */
import type { MessageData } from '#protocol/messages/catalog.ts';

type Name =
  | 'agent.undrained'
  | 'agent.unreachable'
  | 'agent.returned'
  | 'agent.cordoned'
  | 'agent.uncordoned'
  | 'agent.forgotten';

export const goldenFleet: { readonly [N in Name]: MessageData<N> } = {
  'agent.undrained': { reason: 'put back by ann@desk' },
  'agent.unreachable': { silentMs: 10_000 },
  'agent.returned': { incarnation: 3 },
  'agent.cordoned': { by: 'ann@box', reason: 'its fan is loud' },
  'agent.uncordoned': { by: 'ann@box', reason: null },
  'agent.forgotten': { by: 'ann@box', reason: 'its lease is over', throughSequence: 812 },
};
