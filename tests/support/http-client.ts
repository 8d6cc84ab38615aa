import { onTestFinished } from 'vitest';
import { createHttpClient, type HttpClient, type HttpSettings } from '../../app/http-client.ts';

/**
 * A broker's connections, which end with the test.
 * @param limits as in {@link createHttpClient}
 */
export function givenHttpClient(
  settings: Pick<HttpSettings, 'upstreamMcpUrl'> & Partial<HttpSettings>,
  limits?: { answerTimeoutMs?: number },
): HttpClient {
  const client = createHttpClient({ upstreamTimeoutSeconds: 300, ...settings }, limits);
  onTestFinished(() => client.close());
  return client;
}
