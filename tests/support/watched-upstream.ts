import type { RespondHook, Upstream } from '../../app/cli/demo/upstream.ts';
import { givenUpstream } from './broker.ts';
import { altering, onPath } from './login.ts';

const ANSWERED = ['access_token', 'refresh_token', 'id_token', 'client_secret', 'registration_access_token'];
const ASKED = ['code', 'code_verifier', 'refresh_token', 'token', 'client_secret'];

/** A client that the authorization server knows, with a secret. */
export interface ConfidentialClient {
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface WatchedUpstream {
  readonly upstream: Upstream;
  /** Every secret that has passed between it and its clients. */
  readonly secrets: ReadonlySet<string>;
  /** What the authorization server begins each answer with; a test that puts another hook there takes this one back. */
  readonly watch: RespondHook;
}

/**
 * Starts an upstream that remembers each token, code, verifier, state and client secret; it ends with the test.
 * @param client one that it knows; others may register themselves
 */
export async function givenWatchedUpstream(client?: ConfidentialClient): Promise<WatchedUpstream> {
  const secrets = new Set<string>();
  const keep = (value: unknown) => {
    if (typeof value === 'string' && value !== '') secrets.add(value);
  };
  const watchAnswers = onPath(
    /^\/(token|register)$/,
    altering((json) => {
      for (const name of ANSWERED) keep(json[name]);
      return json;
    }),
  );
  const watch: RespondHook = (request, response) => {
    keep(new URL(request.url ?? '/', 'http://127.0.0.1').searchParams.get('state'));
    return watchAnswers(request, response);
  };
  const upstream = await givenUpstream({
    authorizationServer: {
      accessTokenSeconds: 300,
      respond: watch,
      clients: client === undefined ? [] : [metadataOf(client)],
      onTokenRequest: (body) => {
        for (const name of ASKED) keep(body.get(name));
      },
    },
    mcpServer: { onRequest: ({ headers }) => keep(headers.authorization?.replace(/^Bearer /, '')) },
  });
  return { upstream, secrets, watch };
}

function metadataOf({ clientId, clientSecret }: ConfidentialClient) {
  return {
    client_id: clientId,
    client_secret: clientSecret,
    redirect_uris: ['http://127.0.0.1/oauth/callback'],
    application_type: 'native' as const,
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_basic' as const,
  };
}
