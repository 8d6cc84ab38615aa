import { isLoopbackHost, unbracket } from './address.ts';
import { PROXY_LOOKUP_MS } from './limits.ts';
import type { Network } from './network.ts';
import type { Settings } from './settings.ts';

/** Which proxy leads where. */
export interface ProxyRoutes {
  /** The proxy for connections to an origin; `undefined`: none. Never rejects. */
  of(origin: string): Promise<string | undefined>;
  /** A connection to that origin has failed: next time the system is asked anew. */
  forget(origin: string): void;
  /** Asks the system anew for all it was asked before. @returns whether any answer is another */
  refresh(): Promise<boolean>;
}

/**
 * Proxies by the settings when they name one, else by the system. Loopback and the hosts of `NO_PROXY` are reached
 * directly in any case.
 */
export function proxyRoutes(
  { httpsProxy, noProxy }: Pick<Settings, 'httpsProxy' | 'noProxy'>,
  network: Network | undefined,
): ProxyRoutes {
  const isExempt = exemption(noProxy);
  const answers = new Map<string, Promise<string | undefined>>();
  const ask = (origin: string, system: Network): Promise<string | undefined> => {
    const answer = proxyBySystem(system, origin).catch(() => {
      if (answers.get(origin) === answer) answers.delete(origin);
      return undefined;
    });
    answers.set(origin, answer);
    return answer;
  };
  return {
    of: async (origin) => {
      const url = new URL(origin);
      if (isLoopbackHost(url.hostname) || isExempt(url)) return undefined;
      if (httpsProxy !== undefined) return httpsProxy;
      return network && (answers.get(origin) ?? ask(origin, network));
    },
    forget: (origin) => void answers.delete(origin),
    refresh: async () => {
      if (network === undefined) return false;
      const changes = [...answers].map(async ([origin, before]) => {
        const after = ask(origin, network);
        return (await before) !== (await after);
      });
      return (await Promise.all(changes)).includes(true);
    },
  };
}

async function proxyBySystem(network: Network, origin: string): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), PROXY_LOOKUP_MS);
    timer.unref();
  });
  try {
    return await Promise.race([network.proxyFor(`${origin}/`), tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** `NO_PROXY` as curl and most others read it: hosts with their subdomains, `host:port`, or `*` for all. */
function exemption(noProxy = ''): (url: URL) => boolean {
  const entries = noProxy
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [, name = entry, port] = /^(\[.*\]|[^:]+):(\d+)$/.exec(entry) ?? [];
      return {
        name: unbracket(name)
          .replace(/^\*?\./, '')
          .toLowerCase(),
        port,
      };
    });
  if (entries.some(({ name }) => name === '*')) return () => true;
  return (url) => {
    const host = unbracket(url.hostname);
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    return entries.some(
      (entry) =>
        (entry.port === undefined || entry.port === port) &&
        (host === entry.name || host.endsWith(`.${entry.name}`)),
    );
  };
}
