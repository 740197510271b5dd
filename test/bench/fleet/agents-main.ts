/** A process of simulated agents: `agents-main.ts ORDER`, a child of the bench, which it tells what ran. */
import { toError } from '#protocol/messages/errors.ts';
import { readCredential } from '#protocol/nats/credential.ts';
import type { AgentsAnswer, AgentsOrder, AgentsQuestion } from './agents-messages.ts';
import { startSimulatedAgent, type SimulatedAgent } from './simulated-agent.ts';
import { sharedNowMs, SlotTimes } from './slot-times.ts';

/** Agents that connect and register at a time. */
const STARTS_AT_A_TIME = 25;

function say(answer: AgentsAnswer): void {
  process.send?.(answer);
}

function onBug(error: unknown): void {
  say({ kind: 'broken', error: toError(error).stack ?? toError(error).message });
}

async function main(order: AgentsOrder): Promise<void> {
  const { url, credentialFile, ids, slots } = order;
  const credential = await readCredential(credentialFile);
  const times = new SlotTimes();
  const agents: SimulatedAgent[] = [];
  let begun: string[] = [];
  let startsMs: number[] = [];
  const left = [...ids];
  const startSome = async (): Promise<void> => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      const agent = await startSimulatedAgent({
        ...{ url, credential, id, slots, times, onBug },
        onStart: () => startsMs.push(sharedNowMs()),
        onBegin: (key) => begun.push(key),
      });
      agents.push(agent);
    }
  };
  process.on('message', (question: AgentsQuestion) => {
    if (question === 'end') {
      void Promise.all(agents.map((agent) => agent.close())).then(() => process.exit(0), onBug);
      return;
    }
    say({ kind: 'report', begun, startsMs: Float64Array.from(startsMs), times: times.take() });
    begun = [];
    startsMs = [];
  });
  process.on('disconnect', () => process.exit(1));
  await Promise.all(Array.from({ length: STARTS_AT_A_TIME }, startSome));
  say({ kind: 'ready' });
}

process.on('uncaughtException', onBug);
process.on('unhandledRejection', onBug);
main(JSON.parse(process.argv[2] ?? '') as AgentsOrder).catch(onBug);
