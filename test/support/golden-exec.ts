/** Golden messages of commands that an agent runs for somebody. */
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';

const asked = { by: 'ann@desk', argv: ['nvidia-smi', '-L'] };

export const goldenExec: {
  readonly [N in Extract<MessageName, `agent.exec_${string}`>]: MessageData<N>;
} = {
  'agent.exec_started': { id: 'abcdefghijkmnpqrstuv', ...asked },
  'agent.exec_ended': {
    id: 'abcdefghijkmnpqrstuv',
    ...asked,
    end: { kind: 'exited', code: 0, signal: null },
    durationMs: 812,
    stdoutBytes: 64,
    stderrBytes: 0,
    survivors: [],
  },
  'agent.exec_refused': { ...asked, reason: 'agent lab-1 does not permit this command' },
};
