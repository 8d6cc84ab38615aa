import { createServer } from 'node:net';
import { systemCode } from '../../app/store/file-errors.ts';

/** So many ports are tried; where all of them are taken, something else is wrong. */
const MOST_TRIES = 500;
const LAST_PORT = 65_535;

/**
 * Finds a port that nothing listens on, by listening on it for a moment.
 * @param from the first port that is tried; the next ones follow
 * @param options.bind the local address that is to be listened on
 * @param options.skip ports that belong to others, whether or not they listen now
 * @returns `undefined` when there is none among the next 500, or the address cannot be listened on at all
 */
export async function findFreePort(
  from: number,
  { bind = '127.0.0.1', skip = new Set() }: { bind?: string; skip?: ReadonlySet<number> } = {},
): Promise<number | undefined> {
  const last = Math.min(from + MOST_TRIES - 1, LAST_PORT);
  for (let port = from; port <= last; port++) {
    if (skip.has(port)) continue;
    const fault = await tryToListen(port, bind);
    if (fault === undefined) return port;
    if (fault !== 'EADDRINUSE' && fault !== 'EACCES') return undefined;
  }
  return undefined;
}

/** @returns the system's code for why it did not work */
function tryToListen(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(systemCode(error) ?? 'unknown'));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
