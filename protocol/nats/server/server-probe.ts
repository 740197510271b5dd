/** Looks at a TCP port as a stranger does: who answers there, and is it free? */
import { connect as tcp, createServer } from 'node:net';
import { z } from 'zod';

export type Probe =
  /** A nats-server says INFO before anybody has to log in. */
  | { readonly kind: 'nats'; readonly name: string; readonly version: string }
  /** Something accepts connections, and is no nats-server. */
  | { readonly kind: 'other' }
  | { readonly kind: 'closed' };

const Info = z.object({ server_name: z.string(), version: z.string() });

/** Never rejects. Takes up to `timeoutMs` where something accepts and says nothing. */
export function probePort(port: number, timeoutMs = 1_000): Promise<Probe> {
  return new Promise((resolve) => {
    const socket = tcp({ host: '127.0.0.1', port });
    let text = '';
    let accepted = false;
    const finish = (probe: Probe): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(probe);
    };
    const timer = setTimeout(() => {
      finish(accepted ? { kind: 'other' } : { kind: 'closed' });
    }, timeoutMs);
    socket.on('connect', () => {
      accepted = true;
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes('\r\n') || text.length > 65_536) finish(parseInfo(text));
    });
    const onEnd = (): void => {
      finish(accepted ? parseInfo(text) : { kind: 'closed' });
    };
    socket.on('error', onEnd);
    socket.on('close', onEnd);
  });
}

function parseInfo(text: string): Probe {
  const line = /^INFO (\{.*\})/.exec(text)?.[1];
  if (line === undefined) return { kind: 'other' };
  try {
    const info = Info.parse(JSON.parse(line));
    return { kind: 'nats', name: info.server_name, version: info.version };
  } catch {
    return { kind: 'other' };
  }
}

/** A port nobody listens on now; the kernel chooses. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => {
        resolve(port);
      });
    });
  });
}

/** True when a server could listen on the port now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
