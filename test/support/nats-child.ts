/**
 * Programs that tests run as processes of their own, to kill or to stop them:
 *
 *   outbox <url> <credential> <dir>   appends for ever; prints each recorded number
 *   leader <url> <credential> <name>  contends, claims, writes for ever; prints what happens
 */
import { connect, type MeshConnection } from '#protocol/nats/connection.ts';
import { readCredential } from '#protocol/nats/credential.ts';
import { fencedPublisher } from '#protocol/nats/leader/fenced-publisher.ts';
import { claimEpoch } from '#protocol/nats/leader/leader-claim.ts';
import { contendForLease } from '#protocol/nats/leader/lease.ts';
import { eventStore, openOutbox } from '#protocol/nats/outbox/outbox.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { toError } from '#protocol/messages/errors.ts';

const encoder = new TextEncoder();
const [program, url = '', credentialFile = '', argument = ''] = process.argv.slice(2);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function outbox(connection: MeshConnection): Promise<void> {
  const box = await openOutbox({
    dir: argument,
    store: eventStore(connection),
    instance: 'child',
    log: silentLog,
    onFenced: () => {
      say('fenced');
    },
  });
  for (let count = 0; ; count += 1) {
    const subject = `bm.v1.evt.agent.child.run.t${count % 10}.1`;
    const outcome = await box.append(subject, (seq) => encoder.encode(`${subject} ${seq}`));
    if (outcome.kind === 'recorded') say(`${subject} ${outcome.seq}`);
  }
}

async function leader(connection: MeshConnection): Promise<void> {
  const acquired = await new Promise<ReturnType<typeof contendForLease>>((resolve) => {
    const contender = contendForLease(connection, {
      holder: argument,
      description: `pid ${process.pid}`,
      onAcquired: () => {
        setImmediate(() => {
          resolve(contender);
        });
      },
      onLost: (reason) => {
        say(`lost ${reason}`);
      },
      onStandby: ({ holder }) => {
        say(`standby ${holder}`);
      },
    });
  });
  const claim = await claimEpoch(connection, {
    encode: (epoch) => encoder.encode(`claim ${epoch}`),
    isLeading: () => acquired.isLeading(),
  });
  say(`leading ${claim.epoch}`);
  const publisher = fencedPublisher({
    connection,
    claim,
    onDeposed: () => {
      say('deposed');
    },
  });
  for (let count = 1; ; count += 1) {
    try {
      const payload = encoder.encode(`${argument} ${count}`);
      await publisher.publish(`bm.v1.evt.task.run.t${count % 5}`, payload);
      await publisher.publish('bm.v1.cmd.agent.start.run', payload, { ttl: 600 });
      if (count % 50 === 0) say(`wrote ${count}`);
    } catch (error) {
      say(`refused ${toError(error).message}`);
      return;
    }
  }
}

const credential = await readCredential(credentialFile);
const connection = await connect({ url, credential, name: program ?? '', log: silentLog });
await (program === 'outbox' ? outbox(connection) : leader(connection));
