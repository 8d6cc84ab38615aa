import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { listenUntilTestEnds } from './scripted-server.ts';

/** A proxy on 127.0.0.1 that ends with the test, and with it all that goes through it. */
export interface TestProxy {
  readonly url: string;
  readonly port: number;
  /** `host:port` of each tunnel that was asked for. */
  readonly asked: readonly string[];
  /** Credentials as they were sent. */
  readonly credentials: readonly (string | undefined)[];
  /** Ends all connections and refuses new ones. */
  stop(): Promise<void>;
}

/** Where a proxy leads: always to a port of 127.0.0.1, whatever the name. */
type Destination = number;

/**
 * A proxy for CONNECT.
 * @param options.status what it answers; anything but 200 opens no tunnel
 * @param options.tls makes it an HTTPS proxy
 */
export async function givenConnectProxy(
  destination: Destination,
  { status = 200, tls }: { status?: number; tls?: { cert: string; key: string } } = {},
): Promise<TestProxy> {
  const asked: string[] = [];
  const credentials: (string | undefined)[] = [];
  const sockets = new Set<Socket>();
  const server = tls ? createHttpsServer(tls) : createHttpServer();
  server.on('connection', (socket: Socket) => keep(sockets, socket));
  server.on('connect', (request, client: Socket) => {
    keep(sockets, client);
    asked.push(request.url ?? '');
    credentials.push(request.headers['proxy-authorization']);
    if (status !== 200) {
      client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      return;
    }
    join(sockets, client, destination, () => client.write('HTTP/1.1 200 Connection established\r\n\r\n'));
  });
  const port = await listenUntilTestEnds(server);
  onTestFinished(() => end(sockets));
  const stop = async () => {
    end(sockets);
    server.close();
    await once(server, 'close');
  };
  return { url: `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${port}`, port, asked, credentials, stop };
}

/** What a SOCKS proxy does other than to open the tunnel. */
export interface SocksBehaviour {
  /** Asks for this user name and password. */
  readonly login?: { readonly user: string; readonly password: string };
  /** Its reply to CONNECT; anything but 0 opens no tunnel. */
  readonly reply?: number;
}

/** A proxy for SOCKS version 5, byte by byte (RFC 1928, RFC 1929). */
export async function givenSocksProxy(
  destination: Destination,
  { login, reply = 0 }: SocksBehaviour = {},
): Promise<TestProxy> {
  const asked: string[] = [];
  const credentials: (string | undefined)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    keep(sockets, client);
    const steps = [greeting, ...(login ? [userAndPassword] : []), command];
    client.on('data', onData);
    function onData(data: Buffer): void {
      steps.shift()?.(data);
    }
    function greeting(data: Buffer): void {
      const method = login ? 2 : 0;
      client.write(Buffer.from([5, data.subarray(2).includes(method) ? method : 255]));
    }
    function userAndPassword(data: Buffer): void {
      const userLength = data[1] ?? 0;
      const user = data.subarray(2, 2 + userLength).toString();
      const password = data.subarray(3 + userLength).toString();
      credentials.push(`${user}:${password}`);
      client.write(Buffer.from([1, user === login?.user && password === login.password ? 0 : 1]));
    }
    function command(data: Buffer): void {
      asked.push(targetOf(data));
      client.off('data', onData);
      const answer = Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
      if (reply === 0) join(sockets, client, destination, () => client.write(answer));
      else client.end(answer);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    end(sockets);
    if (!server.listening) return;
    server.close();
    await once(server, 'close');
  };
  onTestFinished(stop);
  return { url: `socks5://127.0.0.1:${port}`, port, asked, credentials, stop };
}

function targetOf(command: Buffer): string {
  const [, , , kind, length = 0] = command;
  const port = command.readUInt16BE(command.length - 2);
  if (kind === 3) return `${command.subarray(5, 5 + length).toString()}:${port}`;
  const address = command.subarray(4, -2);
  return kind === 1 ? `${[...address].join('.')}:${port}` : `${address.toString('hex')}:${port}`;
}

function join(sockets: Set<Socket>, client: Socket, port: number, onJoined: () => void): void {
  const target = keep(
    sockets,
    connect(port, '127.0.0.1', () => {
      onJoined();
      client.pipe(target).pipe(client);
    }),
  );
}

function keep(sockets: Set<Socket>, socket: Socket): Socket {
  sockets.add(socket);
  return socket.on('error', () => undefined);
}

function end(sockets: Set<Socket>): void {
  for (const socket of sockets) socket.destroy();
}
