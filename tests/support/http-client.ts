import { onTestFinished } from 'vitest';
import {
  createHttpClient,
  type HttpClient,
  type HttpClientOptions,
  type HttpSettings,
} from '../../app/http-client.ts';

/** A broker's connections, which end with the test. */
export function givenHttpClient(
  settings: Pick<HttpSettings, 'upstreamMcpUrl'> & Partial<HttpSettings>,
  options?: HttpClientOptions,
): HttpClient {
  const client = createHttpClient({ upstreamTimeoutSeconds: 300, ...settings }, options);
  onTestFinished(() => client.close());
  return client;
}
