/**
 * A network namespace joined to this host by one link that can be cut: what runs in it reaches a server
 * on this host's loopback through a relay at this end of the link. Cut, packets vanish and no connection
 * is closed, as when a switch dies. Only root may make one.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { toError } from '#protocol/messages/errors.ts';

export class CutLink {
  readonly #name: string;
  readonly #subnet: string;
  readonly #sockets = new Set<Socket>();
  #relay: Server | null = null;

  private constructor(name: string, subnet: string) {
    this.#name = name;
    this.#subnet = subnet;
  }

  /** Or the reason why there can be none here. */
  static create(): CutLink | string {
    if (process.getuid?.() !== 0) return 'network namespaces need root';
    const [a = 0, b = 0, c = 0] = randomBytes(3);
    const name = `bm${[a, b, c].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
    const link = new CutLink(name, `10.${128 + (a % 127)}.${b}`);
    try {
      link.#make();
      return link;
    } catch (error) {
      link.#remove();
      return `no network namespace can be made here: ${toError(error).message.split('\n').join(' ')}`;
    }
  }

  #make(): void {
    const name = this.#name;
    ip('netns', 'add', name);
    ip('link', 'add', `${name}h`, 'type', 'veth', 'peer', 'name', `${name}n`, 'netns', name);
    ip('addr', 'add', `${this.#subnet}.1/30`, 'dev', `${name}h`);
    ip('link', 'set', `${name}h`, 'up');
    ip('-n', name, 'addr', 'add', `${this.#subnet}.2/30`, 'dev', `${name}n`);
    for (const device of ['lo', `${name}n`]) ip('-n', name, 'link', 'set', device, 'up');
  }

  /** Before a command of the other side. */
  get prefix(): readonly string[] {
    return ['nsenter', `--net=/run/netns/${this.#name}`];
  }

  /** The URL at which the other side reaches the server of `url`, which listens on loopback. */
  async serve(url: string): Promise<string> {
    const port = Number(new URL(url).port);
    const relay = createServer((near) => {
      this.#join(near, connect(port, '127.0.0.1'));
    });
    this.#relay = relay;
    await new Promise<void>((resolve) => relay.listen(0, `${this.#subnet}.1`, resolve));
    const address = relay.address();
    if (address === null || typeof address === 'string') throw new Error('the relay has no port');
    return `nats://${this.#subnet}.1:${address.port}`;
  }

  #join(a: Socket, b: Socket): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      this.#sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }

  cut(): void {
    ip('link', 'set', `${this.#name}h`, 'down');
  }

  mend(): void {
    ip('link', 'set', `${this.#name}h`, 'up');
  }

  /** Ends the relay and removes the namespace; what runs in it has ended. */
  dispose(): void {
    this.#relay?.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#remove();
  }

  #remove(): void {
    try {
      ip('netns', 'del', this.#name);
    } catch {
      // It was never made. The link goes with it.
    }
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
