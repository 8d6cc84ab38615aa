import type { Network } from './network.ts';
import type { HttpAnswer } from './oauth/http.ts';

/** What a document is asked for with. */
export interface GetDocumentOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly network?: Network | undefined;
}

/**
 * Gets a small document of the web on the way that the brokers take, too: by the system's proxies, trusting whom the
 * system trusts, within 10 s and 256 KiB. Follows no redirect and sends nothing but what it is told to.
 * @throws {HttpFailure} when there was no HTTP answer
 */
export async function getDocument(
  url: string,
  { headers, network }: GetDocumentOptions,
): Promise<HttpAnswer> {
  const { createHttpClient } = await import('./http-client.ts');
  const http = createHttpClient({ upstreamMcpUrl: url, upstreamTimeoutSeconds: 0 }, { network });
  try {
    return await http.request(url, { headers: { ...headers } });
  } finally {
    await http.close();
  }
}
